"""Whatever befalls containers and their orchestrator: the budget is used exactly, and nothing runs on for nothing."""

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import wandb

from multistage.domain.runs.slots import parse_slot_name
from multistage.domain.sweep.state import State
from multistage.launchers.modal.records import read_call
from tests.launchers.modal.modal_sweeps import ModalSweeps, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

TRAIN = """
import os, signal, sys, time
from pathlib import Path
import wandb
from judging import judge

gate = Path(__file__).with_name("gate")
run = wandb.init()
kind = run.config.get("kind", "plain")
run.log({"score": float("nan") if kind == "nan" else 0.0})
if kind == "hungry":
    filled = bytearray(b"x") * 2**30
    time.sleep(60)
if kind == "failing":
    raise ValueError("no good")
time.sleep(2)
while gate.exists():
    time.sleep(0.05)
if kind != "nan":
    run.log({"score": judge(run.config["x"])})
run.finish()
"""


@pytest.fixture
def project(sweeps: ModalSweeps, tmp_path: Path) -> Path:
    """A user's project, in a folder that the sweeps are not started from."""
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "judging.py").write_text("def judge(x):\n    return -(x - 0.3) ** 2\n")
    (tmp_path / "requirements.txt").write_text("einops\n")
    (tmp_path / ".env").write_text("SECRET=1")
    return tmp_path


def describe(project: Path, name: str, budget: int, params: str = "x:0-1", *more: str) -> list[str]:
    return [
        *("mine:v1", "--program", str(project / "train.py"), "--project-dir", str(project), "--launcher", "modal"),
        *("--params", params, "--metric", "score", "--budget", str(budget), "--workers", "2", "--name", name, *more),
    ]


def list_attempts(api: wandb.Api, state: State) -> dict[str, list[Any]]:
    """The runs of a sweep as the tracker has them, by stage and slot."""
    found: dict[str, list[Any]] = {}
    for record in state.stages_completed:
        runs = api.runs(f"{state.entity}/{state.project}", filters={"sweep": record.sweep_id}, per_page=100)
        for run in runs:
            name = parse_slot_name(run.name)
            assert name is not None
            found.setdefault(f"{name.stage}-{name.index}", []).append(run)
    return found


def test_lost_containers_and_an_absent_cloud_cost_no_slot(sweeps: ModalSweeps, api: wandb.Api, project: Path) -> None:
    process = sweeps.start(
        *describe(project, "troubled", 16, "x:0-1,kind:[plain|hungry|nan|failing]", "--modal-memory", "0.9")
    )
    modal = sweeps.modal

    def is_training() -> bool:
        state = sweeps.find("troubled")
        return bool(state and state.current_stage and state.current_stage.running == 2)

    try:
        wait_until(is_training, 120)
        busy = [one for one in modal.list_containers() if one.call]
        modal.kill(busy[0])
        wait_until(is_training, 120)
        preempted = next(one for one in modal.list_containers() if one.call)
        call = preempted.call
        modal.preempt(preempted)
        modal.wire.away = True
        time.sleep(25)  # longer than the client asks again by itself
        modal.wire.away = False
        assert process.wait(300) == 0
    finally:
        modal.wire.away = False
        if process.poll() is None:
            sweeps.kill(process)
    assert call is not None
    assert call.attempts == 2
    assert max(one.attempts for one in modal.list_calls()) <= 3
    wait_until(lambda: not modal.list_containers(), 30)
    state = sweeps.read("troubled")
    slots = list_attempts(api, state)
    assert (state.budget_used, len(slots), state.ended_because) == (16, 16, "budget used")
    assert sum(record.attempts_lost for record in state.stages_completed) >= 1
    outcomes = Counter((runs[-1].config["kind"], runs[-1].state) for runs in slots.values())
    assert set(outcomes) <= {
        ("plain", "finished"), ("nan", "finished"), ("hungry", "failed"), ("failing", "failed")
    }  # fmt: skip
    assert outcomes["hungry", "failed"] >= 1
    for runs in slots.values():
        for run in runs:
            if run.state == "failed":
                expected = "Out of memory" if run.config["kind"] == "hungry" else "ValueError: no good"
                assert run.summary["error"].startswith(expected)
    lost = {run.id for runs in slots.values() for run in runs[:-1]}
    assert all(run.state in ("crashed", "killed") for runs in slots.values() for run in runs if run.id in lost)
    assert state.best_config is not None
    assert state.best_config["kind"] == "plain"


def test_a_program_that_cannot_import_stops_everything_at_once(sweeps: ModalSweeps, project: Path) -> None:
    (project / "judging.py").unlink()
    before = len(sweeps.modal.list_calls())
    found = sweeps.call(*describe(project, "unimportable", 20))
    assert found.returncode == 1
    assert "No module named 'judging'" in found.stderr
    assert "project's requirements" in found.stderr
    assert len(sweeps.modal.list_calls()) == before + 1
    assert sweeps.modal.list_containers() == []
    state = sweeps.read("unimportable")
    assert (state.status, state.workers) == ("failed", ())
    assert state.cost is not None
    assert state.cost.dollars > 0


def test_kept_workers_go_on_and_force_ends_them_from_anywhere(sweeps: ModalSweeps, project: Path) -> None:
    gate = project / "gate"
    gate.touch()
    process = sweeps.start(*describe(project, "kept", 10, "x:0-1", "--keep-workers"))
    modal = sweeps.modal

    def is_training() -> bool:
        state = sweeps.find("kept")
        return bool(state and state.current_stage and state.current_stage.running == 2)

    wait_until(is_training, 120)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    state = sweeps.read("kept")
    calls = {read_call(one).call_id for one in state.workers}
    assert state.status == "stopped"
    assert {one.call.call_id for one in modal.list_containers() if one.call} == calls
    assert "is live" in sweeps.call("down").stderr

    process = sweeps.start("--resume", "kept")
    wait_until(lambda: sweeps.read("kept").status == "running", 60)
    time.sleep(3)  # several looks at its workers
    assert {one.call.call_id for one in modal.list_containers() if one.call} == calls
    sweeps.kill(process)

    asked_at = time.monotonic()
    ended = sweeps.call("down", "--force")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    wait_until(lambda: not modal.list_containers(), 10)
    assert time.monotonic() - asked_at < 25
    state = sweeps.read("kept")
    assert (state.status, state.workers) == ("stopped", ())
    assert state.cost is not None
    assert state.cost.ended > 0
    assert sweeps.call("down", "--force").returncode == 0
    gate.unlink()
    found = sweeps.call("--resume", "kept")
    assert found.returncode == 0, found.stdout + found.stderr
    assert sweeps.read("kept").budget_used == 10
