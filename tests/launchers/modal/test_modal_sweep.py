"""Whole sweeps in containers: the real client, the real containers, a modelled cloud."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.launchers.modal.modal_sweeps import ModalSweeps, wait_until

ROOT = Path(__file__).parents[3]
SWEEP = ("digits:mlp", "--params", "learning_rate,alpha", "--launcher", "modal", "--train-arg", "epochs=5")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_three_stages_in_containers(sweeps: ModalSweeps) -> None:
    deployed = subprocess.run(
        [sys.executable, "-m", "modal", "deploy", str(ROOT / "deployments" / "modal_app.py")],
        env=sweeps.environment,
        cwd=sweeps.folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    before = len(sweeps.modal.list_calls())
    found = sweeps.call(*SWEEP, "--budget", "12", "--workers", "2", "--name", "whole")
    assert found.returncode == 0, found.stdout + found.stderr
    state = sweeps.read("whole")
    assert [record.runs_completed for record in state.stages_completed] == [4, 6, 2]
    assert (state.budget_used, state.ended_because) == (12, "budget used")
    assert sweeps.modal.list_containers() == []
    calls = sweeps.modal.list_calls()[before:]
    assert all(call.output is not None for call in calls)
    # The first container of a stage trains alone until it has logged a row.
    first, second = sorted(call.spawned_at for call in calls)[:2]
    assert second - first > 1.0
    assert state.cost is not None
    assert {cost.sweep.rpartition("/")[2] for cost in state.cost.stages} == {
        record.sweep_id for record in state.stages_completed
    }
    assert 0 < state.cost.dollars < 0.05
    assert state.cost.dollars_a_run == pytest.approx(state.cost.dollars / 12)
    assert [cost.stage for cost in state.cost.stages] == [1, 2, 3]
    assert all(cost.dollars_a_run for cost in state.cost.stages)
    assert "Cost: $" in found.stdout
    assert "a run, stage 1: $" in found.stdout


def test_killed_orchestrator_resumes_and_uses_exactly_the_budget(sweeps: ModalSweeps) -> None:
    process = sweeps.start(*SWEEP, "--budget", "14", "--workers", "2", "--name", "killed")
    try:

        def trains_stage_2() -> bool:
            state = sweeps.find("killed")
            now = state.current_stage if state else None
            return now is not None and now.stage == 2 and now.used >= 1

        wait_until(trains_stage_2, 120)
    finally:
        sweeps.kill(process)
    # Nobody proposes any more: the containers finish what is queued, find nothing for 45 s, and leave.
    wait_until(lambda: not sweeps.modal.list_containers(), 80)
    spawned = len(sweeps.modal.list_calls())
    found = sweeps.call("--resume", "killed")
    assert len(sweeps.modal.list_calls()) > spawned
    assert found.returncode == 0, found.stdout + found.stderr
    state = sweeps.read("killed")
    assert state.budget_used == 14
    assert sum(record.runs_completed for record in state.stages_completed) == 14
    assert sweeps.modal.list_containers() == []


def test_cost_cap_ends_the_sweep_early(sweeps: ModalSweeps) -> None:
    # Two containers of at most 70 s each can be paid at once, and each trains one run.
    price = 70 * (2 * 0.0000131 + 4 * 0.00000222)
    before = len(sweeps.modal.list_calls())
    found = sweeps.call(
        *(*SWEEP, "--budget", "12", "--workers", "2", "--name", "capped", "--modal-timeout", "10"),
        *("--runs-per-worker", "1", "--max-cost", f"{price * 1.3:.6f}"),
    )
    assert found.returncode == 0, found.stdout + found.stderr
    state = sweeps.read("capped")
    assert state.ended_because == "cost cap"
    assert 0 < state.budget_used < 12
    assert len(state.stages_completed) == 3
    assert len(sweeps.modal.list_calls()) - before >= state.budget_used
    assert state.cost is not None
    assert state.cost.dollars <= price * 1.3
    assert "cost cap" in found.stdout
    refused = sweeps.call("train", "capped")
    assert refused.returncode == 1
    assert "The cost cap lets no further worker start. Raise it by a resume with --max-cost." in refused.stderr
    assert sweeps.modal.list_containers() == []
