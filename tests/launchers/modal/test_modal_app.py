"""What a container does, called here: each start is counted, and a worker's time has an end."""

from pathlib import Path
from typing import Any

import modal.exception
import pytest
import wandb

from multistage.launchers.modal import app as modal_app
from multistage.launchers.modal.faults import judge_result
from tests.queued_sweeps import queue_runs, wait_for_state, write_script

ENDLESS = """
run = wandb.init()
run.log({"score": 1})
time.sleep(600)
"""


class MemoryNotes:
    """The workers' notes, without a cloud."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.held.get(key)

    def put(self, key: str, value: Any) -> None:
        self.held[key] = value


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> MemoryNotes:
    held = MemoryNotes()
    monkeypatch.setattr(modal_app, "open_notes", lambda: held)
    return held


def work(sweep: str = "a/b/c", seconds: float = 60.0, url: str = "http://127.0.0.1:1", **more: Any) -> dict[str, Any]:
    return modal_app.work("w1", sweep, base_url=url, idle=5.0, seconds=seconds, memory=8.0, **more)


def test_a_call_is_given_up_after_three_containers(notes: MemoryNotes) -> None:
    notes.put("w1", {"starts": 3, "first_start": 0.0})
    result = work()
    assert (result["exit_code"], result["starts"]) == (None, 4)
    end = judge_result(result)
    assert (end.fault, end.reason) == ("machine", "Its container was lost 3 times.")


def test_a_cancelled_worker_never_begins(notes: MemoryNotes) -> None:
    notes.put("w1 cancelled", True)
    assert judge_result(work()).reason == "It was cancelled before it began."


def test_a_restarted_worker_has_only_the_time_that_is_left(notes: MemoryNotes) -> None:
    notes.put("w1", {"starts": 1, "first_start": 0.0})
    assert judge_result(work()).reason == "It ran out of time."


def test_notes_that_cannot_be_used_are_the_machine_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised, the error would pass for one of the launcher's own requests, and the call for alive."""

    def refuse() -> None:
        raise modal.exception.ServiceError("away")

    monkeypatch.setattr(modal_app, "open_notes", refuse)
    end = judge_result(work())
    assert (end.fault, end.reason) == ("machine", "Modal's notes cannot be used: away")


def test_a_training_that_outlives_its_container_s_time_is_ended(
    api: wandb.Api,
    tracker: dict[str, str],
    workplace: Path,
    notes: MemoryNotes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in tracker.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(modal_app, "LAST_CALL", 2.0)
    script = write_script(workplace / "train.py", ENDLESS)
    sweep = queue_runs(api, script.name, [{"x": 1}])
    result = work(sweep, seconds=12.0, url=tracker["WANDB_BASE_URL"], directory=str(workplace))
    assert 14 <= result["seconds"] < 40
    assert judge_result(result).fault == "machine"
    assert notes.held["w1"]["starts"] == 1
    wait_for_state(sweep, "run-0", "killed", "crashed", timeout=80)
