"""One W&B sweep as it is, in containers: W&B's engine proposes, here the embedded server's."""

from typing import Any

import pytest
import yaml

from multistage.training.catalogue import TRAINERS
from tests.launchers.modal.modal_sweeps import ModalSweeps, wait_until

RANDOM: dict[str, Any] = {
    "method": "random",
    "metric": {"name": "val/accuracy", "goal": "maximize"},
    "command": list(TRAINERS["digits:mlp"].command),
    "parameters": {"learning_rate": {"min": 0.001, "max": 0.1}, "epochs": {"value": 300}},
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_a_sweep_as_it_is_outlives_its_orchestrator_and_keeps_its_bound(sweeps: ModalSweeps) -> None:
    (sweeps.folder / "random.yaml").write_text(yaml.safe_dump(RANDOM))
    command = ("single", "random.yaml", "--count", "6", "--launcher", "modal", "--workers", "2", "--name", "single")
    process = sweeps.start(*command)
    try:
        wait_until(lambda: (state := sweeps.find("single")) is not None and state.budget_used >= 1, 120)
    finally:
        sweeps.kill(process)
    found = sweeps.call("--resume", "single")
    assert found.returncode == 0, found.stdout + found.stderr
    state = sweeps.read("single")
    assert (state.status, state.budget_used, len(state.plan)) == ("completed", 6, 1)
    assert state.cost is not None
    assert 0 < state.cost.dollars < 0.05
    assert sweeps.modal.list_containers() == []
    assert all(call.output is not None for call in sweeps.modal.list_calls())
