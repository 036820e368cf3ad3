"""What a watcher reads of a stage while it runs: each better value, failed run and lost run once, and in words."""

from typing import Any

import pytest

from multistage.domain.runs.slots import SETUP, RunRecord, SlotName, Slots, settle_slots
from multistage.domain.sweep.state import StageProgress, State
from multistage.driver.stage_log import StageLog
from tests.states import BEGAN, make_state


def make_run(index: int, phase: Any, value: float | None = None, attempt: int = 0, **more: Any) -> RunRecord:
    name = SlotName(stage=1, index=index, attempt=attempt)
    return RunRecord(run_id=f"r{index}-{attempt}", name=name, phase=phase, config={"lr": 0.1}, value=value, **more)


def settle(*runs: RunRecord) -> Slots:
    return settle_slots(runs)


class Watcher:
    """Notes looks at a stage, and gives what each has told."""

    def __init__(self, caplog: pytest.LogCaptureFixture, state: State, **progress: Any) -> None:
        caplog.set_level("INFO", "multistage")
        self._caplog, self._state = caplog, state
        self._log = StageLog(state, StageProgress(stage=1, runs=9, started_at=BEGAN, **progress))

    def look(self, *runs: RunRecord) -> list[tuple[str, str]]:
        self._caplog.clear()
        self._log.note(self._state.model_copy(update={"budget_used": 1}), settle(*runs))
        return [(record.levelname, record.getMessage()) for record in self._caplog.records]


def test_only_what_is_better_is_told(caplog: pytest.LogCaptureFixture) -> None:
    watcher = Watcher(caplog, make_state())
    first, worse, better = make_run(0, "finished", 0.5), make_run(1, "finished", 0.4), make_run(2, "finished", 0.6)
    (told,) = watcher.look(first)
    assert told == ("INFO", 'Best so far: 0.5 by run r0-0 with {"lr": 0.1}, after 1 of 30 runs')
    assert watcher.look(first, worse) == []
    assert watcher.look(first, worse, make_run(3, "finished", float("inf")), make_run(4, "active", 0.9)) == []
    assert "Best so far: 0.6 by run r2-0" in watcher.look(first, worse, better)[0][1]


def test_better_is_lower_where_that_is_the_goal_and_than_all_earlier_stages(caplog: pytest.LogCaptureFixture) -> None:
    state = make_state(1, goal="minimize")
    assert state.best_metric == 0.9
    watcher = Watcher(caplog, state)
    assert watcher.look(make_run(0, "finished", 0.95)) == []
    assert "0.85" in watcher.look(make_run(0, "finished", 0.95), make_run(1, "finished", 0.85))[0][1]


def test_lost_and_failed_runs_are_told_once_with_what_becomes_of_them(caplog: pytest.LogCaptureFixture) -> None:
    watcher = Watcher(caplog, make_state())
    lost, failed = make_run(0, "lost"), make_run(1, "failed", error="ValueError: no data")
    assert watcher.look(make_run(0, "active")) == []
    assert watcher.look(lost) == [
        ("WARNING", "Run r0-0 (s1-0000) was lost to the machine; its config is trained again")
    ]
    assert watcher.look(lost, make_run(0, "queued", attempt=1), failed) == [
        ("INFO", 'Run r1-0 (s1-0001) failed with {"lr": 0.1}: ValueError: no data')
    ]
    again, last = make_run(0, "lost", attempt=1), make_run(0, "lost", attempt=2)
    assert "trained again" in watcher.look(lost, again, failed)[0][1]
    given_up = "Run r0-2 (s1-0000-r2) was lost to the machine; it was tried often enough and counts as failed"
    assert watcher.look(lost, again, last, failed)[0] == ("WARNING", given_up)
    assert watcher.look(lost, again, last, failed) == []
    assert watcher.look(make_run(3, "lost", fault=SETUP, error="no such file")) == []


def test_what_an_earlier_process_told_is_not_told_again(caplog: pytest.LogCaptureFixture) -> None:
    watcher = Watcher(caplog, make_state(), used=2, failed=1, attempts_lost=1, best_metric=0.5)
    assert "Stage 1 of 3 goes on: 2 of 9 runs" in caplog.text
    runs = (make_run(0, "finished", 0.5), make_run(1, "failed"), make_run(2, "lost"))
    assert watcher.look(*runs) == []
    assert "r3-0" in watcher.look(*runs, make_run(3, "lost"))[0][1]


def test_a_resume_tells_what_was_lost_with_the_process_before(caplog: pytest.LogCaptureFixture) -> None:
    watcher = Watcher(caplog, make_state(), used=1)
    assert [level for level, _ in watcher.look(make_run(0, "lost"), make_run(1, "lost"))] == ["WARNING", "WARNING"]
