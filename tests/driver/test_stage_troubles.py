"""The driver of a stage in trouble: failing runs, silent servers, dying workers, a sweep that somebody stops."""

import math
from collections.abc import Callable, Sequence
from itertools import count
from typing import Literal

import pytest

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.runs.slots import RunPhase, RunRecord, SlotName
from multistage.domain.runs.vigilance import Intake
from multistage.driver.stage_verdict import HOPELESS
from multistage.errors import (
    AllRunsFailedError,
    LaunchError,
    MetricMissingError,
    StandstillError,
    SweepFailedError,
    TrackerError,
)
from multistage.search.base import Proposal
from tests.driver.drivers import (
    MemoryFleet,
    MemoryTracker,
    QuickSearch,
    fail,
    find_stage,
    finish,
    make_driver,
    make_sweep,
)


def test_a_metric_that_no_run_logs_ends_the_stage_early_and_lists_what_was_logged() -> None:
    tracker = MemoryTracker(logged=("val/loss", "epoch"))
    with pytest.raises(MetricMissingError, match="none logged the metric 'score'") as caught:
        make_driver(make_sweep(100), 1, tracker).drive()
    assert "They logged: epoch, val/loss." in caught.value.hint
    finished = [run for run in tracker.records.values() if run.phase == "finished"]
    assert len(finished) == 2


def test_runs_that_log_nothing_at_all_are_told_so() -> None:
    with pytest.raises(MetricMissingError) as caught:
        make_driver(make_sweep(), 1, MemoryTracker(logged=())).drive()
    assert "wandb.log" in caught.value.hint


def test_a_metric_logged_as_something_else_is_told_to_be_no_number() -> None:
    tracker = MemoryTracker(logged=("epoch", "score"), value=lambda _: None)
    with pytest.raises(MetricMissingError, match="none logged the metric 'score' as a number") as caught:
        make_driver(make_sweep(), 1, tracker).drive()
    assert "float(value)" in caught.value.hint


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_never_finite_ends_the_sweep_before_its_budget_is_gone(value: float) -> None:
    worthless = MemoryTracker(value=lambda _: value)
    with pytest.raises(MetricMissingError, match="'score' was NaN or infinite in every run so far") as caught:
        make_driver(make_sweep(500), 1, worthless, go_on="multistage-sweep resume mine").drive()
    assert "multistage-sweep resume mine --metric" in caught.value.hint
    assert len([run for run in worthless.records.values() if run.phase == "finished"]) == HOPELESS

    sweep, tracker = make_sweep(60), MemoryTracker(value=lambda _: value)
    earlier = make_driver(sweep, 1, tracker).drive().list_evaluations()
    assert len(earlier) == HOPELESS - 2, "too few to give up"
    with pytest.raises(MetricMissingError, match="NaN or infinite"):
        make_driver(sweep, 2, MemoryTracker(value=lambda _: value), earlier=earlier).drive()
    one = earlier[0].model_copy(update={"value": 0.5})
    slots = make_driver(sweep, 2, MemoryTracker(value=lambda _: value), earlier=[one, *earlier[1:]]).drive()
    assert slots.used == find_stage(sweep, 2).runs


def test_a_search_that_proposes_nothing_ends_the_stage() -> None:
    class Silent(QuickSearch):
        def propose(self, *_: object, **__: object) -> list[Proposal]:
            return []

    with pytest.raises(SweepFailedError, match=r"proposed nothing for the \d+ runs that stage 3 has left"):
        make_driver(make_sweep(), 3, MemoryTracker(), search=Silent, earlier=[evaluate(0.5)]).drive()
    with pytest.raises(MetricMissingError, match="NaN or infinite"):
        make_driver(make_sweep(), 3, MemoryTracker(), search=Silent, earlier=[evaluate(math.nan)]).drive()


def evaluate(value: float) -> Evaluation:
    return Evaluation(stage=1, index=0, config={"lr": 1e-2, "a": 0.5}, outcome="finished", value=value, run_id="run")


def test_a_single_run_without_the_metric_among_others_is_only_worthless() -> None:
    tracker = MemoryTracker(lambda name: "failed" if name.index == 0 else "finished")
    slots = make_driver(make_sweep(), 1, tracker).drive()
    assert [slot.outcome for slot in slots.values()].count("failed") == 1


def test_a_stage_in_which_all_fail_ends_with_the_first_ones_error() -> None:
    tracker = MemoryTracker(fail, error="ValueError: no such thing")
    with pytest.raises(AllRunsFailedError, match=r"All 6 runs .* said: ValueError: no such thing\."):
        make_driver(make_sweep(), 1, tracker).drive()


def test_a_resume_trains_a_stage_again_that_failed_whole_and_counts_each_slot_once() -> None:
    tracker = MemoryTracker(fail)
    with pytest.raises(AllRunsFailedError):
        make_driver(make_sweep(), 1, tracker).drive()
    with pytest.raises(AllRunsFailedError):
        make_driver(make_sweep(), 1, tracker).drive()
    tracker.fate = finish
    slots = make_driver(make_sweep(), 1, tracker).drive()
    assert [slot.outcome for slot in slots.values()] == ["finished"] * 6
    assert [slot.lost for slot in slots.values()] == [2] * 6
    assert [slot.decisive.name.attempt for slot in slots.values()] == [2] * 6
    for slot in slots.values():
        assert len({str(run.config) for run in slot.attempts}) == 1


def test_a_stage_in_which_a_run_finished_keeps_its_failures_on_a_resume() -> None:
    tracker = MemoryTracker(lambda name: "finished" if name.index == 0 else "failed")
    make_driver(make_sweep(), 1, tracker).drive()
    slots = make_driver(make_sweep(), 1, tracker).drive()
    assert [slot.outcome for slot in slots.values()] == ["finished"] + ["failed"] * 5
    assert len(tracker.enqueued) == 6


def test_a_hopeless_stage_is_given_up_before_its_budget_is_gone() -> None:
    tracker = MemoryTracker(fail)
    with pytest.raises(AllRunsFailedError, match=f"All {HOPELESS} runs"):
        make_driver(make_sweep(500), 1, tracker).drive()


def test_where_the_tracker_knows_no_error_the_runs_output_is_asked() -> None:
    with pytest.raises(AllRunsFailedError, match="said: SyntaxError of run0"):
        make_driver(make_sweep(), 1, MemoryTracker(fail), fleet=MemoryFleet("SyntaxError")).drive()
    with pytest.raises(AllRunsFailedError, match="its log is in the folder logs/"):
        make_driver(make_sweep(), 1, MemoryTracker(fail)).drive()


def test_an_absent_server_is_waited_for_and_nothing_is_lost() -> None:
    tracker = MemoryTracker()
    tracker.outages = [TrackerError("away")] * 3
    slots = make_driver(make_sweep(), 1, tracker).drive()
    assert tracker.waits == 3
    assert len(slots) == len(tracker.enqueued) == 6


def test_a_server_that_leaves_while_runs_are_enqueued_gets_each_once() -> None:
    class Leaving(MemoryTracker):
        def enqueue(self, name: SlotName, config: Config, seed: int | None) -> None:
            if len(self.enqueued) == 3 and not self.waits:
                raise TrackerError("away")
            super().enqueue(name, config, seed)

    tracker = Leaving()
    make_driver(make_sweep(), 1, tracker).drive()
    assert tracker.waits == 1
    assert [name.index for name, _, _ in tracker.enqueued] == list(range(6))


def test_dying_workers_end_the_stage() -> None:
    class Dying(MemoryFleet):
        def adjust(self, *_: object, **__: object) -> None:
            raise LaunchError("dead")

    with pytest.raises(LaunchError):
        make_driver(make_sweep(), 1, MemoryTracker(), fleet=Dying()).drive()


def test_a_sweep_stopped_from_outside_ends_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multistage.driver.stage_driver.ASK_EVERY", 0.0)
    tracker = MemoryTracker(lambda _: "active")
    tracker.intake = "ended"
    with pytest.raises(SweepFailedError, match=r"ended from outside, with 0 of its 6 runs"):
        make_driver(make_sweep(), 1, tracker).drive()


@pytest.mark.parametrize("engine", ["gp", "wandb"])
@pytest.mark.parametrize("phase", ["finished", "failed", "lost", "stopped", "queued"])
def test_however_a_run_ends_its_slot_is_settled(phase: RunPhase, engine: Literal["gp", "wandb"]) -> None:
    """Killed, crashed and deleted runs are lost ones, and preempted runs are queued again."""
    seen: set[int] = set()

    def end(name: SlotName) -> RunPhase:
        first = name.index not in seen
        seen.add(name.index)
        return phase if name.index == 1 and first else "finished"

    sweep = make_sweep(search=engine)
    tracker = MemoryTracker(end)
    if engine == "wandb":
        tracker.fill(find_stage(sweep, 2).runs)
    slots = make_driver(sweep, 2, tracker).drive()
    assert len(slots) == find_stage(sweep, 2).runs
    assert {slot.status for slot in slots.values()} == {"used"}
    lost = "failed" if engine == "wandb" else "finished"
    expected = {"finished": "finished", "queued": "finished", "lost": lost}
    assert slots[1].outcome == expected.get(phase, phase)


def test_a_stopped_sweep_of_wandbs_engine_ends_the_stage_once_its_runs_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multistage.driver.stage_driver.ASK_EVERY", 0.0)
    tracker = MemoryTracker()
    tracker.intake = "ended"
    tracker.fill(3)
    with pytest.raises(SweepFailedError, match=r"ended from outside, with 3 of its 10 runs"):
        make_driver(make_sweep(search="wandb"), 2, tracker).drive()


def test_a_server_that_leaves_when_it_is_asked_for_the_sweeps_state_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("multistage.driver.stage_driver.ASK_EVERY", 0.0)

    class Leaving(MemoryTracker):
        def read_intake(self) -> Intake:
            if not self.waits:
                raise TrackerError("away")
            return "open"

    tracker = Leaving()
    assert len(make_driver(make_sweep(), 1, tracker).drive()) == 6
    assert tracker.waits == 1


def test_a_paused_sweep_wants_no_worker_and_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multistage.driver.stage_driver.ASK_EVERY", 0.0)
    tracker, warnings = MemoryTracker(), list[str]()

    class Pausing(MemoryFleet):
        def adjust(self, waiting: int, training: int, progressed: bool, confirm: Callable[[], bool] = bool) -> None:
            super().adjust(waiting, training, progressed, confirm)
            tracker.intake = "paused" if len(self.work) in (2, 3) else "open"

    fleet = Pausing()
    make_driver(make_sweep(), 1, tracker, fleet=fleet, warn=warnings.append).drive()
    assert [waiting for waiting, _ in fleet.work[:5]] == [6, 4, 0, 0, 0]
    assert len(warnings) == 1
    assert "stage 1 is paused" in warnings[0]


def test_workers_that_leave_a_paused_sweep_do_not_end_the_stage() -> None:
    tracker, warnings = MemoryTracker(), list[str]()

    class Leaving(MemoryFleet):
        def adjust(self, waiting: int, training: int, progressed: bool, confirm: Callable[[], bool] = bool) -> None:
            super().adjust(waiting, training, progressed, confirm)
            if len(self.work) == 1:
                tracker.intake = "paused"
                raise LaunchError("They left.")

    fleet = Leaving()
    slots = make_driver(make_sweep(), 1, tracker, fleet=fleet, warn=warnings.append).drive()
    assert len(slots) == 6
    assert [waiting for waiting, _ in fleet.work[1:]] == [0] * (len(fleet.work) - 1)
    assert "stage 1 is paused" in warnings[0]


def test_a_stage_that_is_overdue_ends_with_what_it_has() -> None:
    looks = count()
    driver = make_driver(make_sweep(), 1, MemoryTracker(), is_overdue=lambda: next(looks) > 2)
    slots = driver.drive()
    assert 0 < sum(slot.status == "used" for slot in slots.values()) < 6


def test_a_run_without_progress_is_reported_stopped_and_trained_again() -> None:
    stuck = "s1-0002"
    warnings: list[str] = []
    tracker = MemoryTracker(lambda name: "active" if str(name) == stuck else "finished")
    slots = make_driver(make_sweep(), 1, tracker, stall_after=0.05, warn=warnings.append).drive()
    assert slots[2].outcome == "finished"
    assert [run.phase for run in slots[2].attempts] == ["lost", "finished"]
    assert tracker.stopped == [slots[2].attempts[0].run_id]
    assert stuck in warnings[0]


def test_a_worker_on_which_alone_everything_fails_is_retired() -> None:
    def end(name: SlotName) -> RunPhase:
        return "failed" if name.index % 2 else "finished"

    tracker, fleet = MemoryTracker(end), MemoryFleet()
    warnings: list[str] = []
    tracker.worker = lambda name: "bad" if name.index % 2 else "good"
    slots = make_driver(make_sweep(40), 1, tracker, fleet=fleet, warn=warnings.append).drive()
    assert len(slots) == 12
    assert fleet.retired == ["bad"]
    assert "Worker bad is retired" in warnings[0]


def test_nothing_is_given_up_before_all_runs_were_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers a filter with nothing has finished runs all the same."""

    class Forgetful(MemoryTracker):
        def read(self) -> Sequence[RunRecord]:
            return []

        def read_all(self) -> bool:
            self.looked_at_all += 1
            return bool(super().read())

    class Leaving(MemoryFleet):
        def adjust(self, waiting: int, training: int, *_: object, **__: object) -> None:
            if waiting or training:
                raise StandstillError("They ended.", "A log.")

    tracker = Forgetful()
    slots = make_driver(make_sweep(), 1, tracker, fleet=Leaving()).drive()
    assert [slot.outcome for slot in slots.values()] == ["finished"] * 6
    assert tracker.looked_at_all >= 3


def test_a_stage_is_given_up_with_what_the_server_counts() -> None:
    class Idle(MemoryTracker):
        def work(self) -> None:
            """Nobody works."""

    class Leaving(MemoryFleet):
        def adjust(self, *_: object, **__: object) -> None:
            raise StandstillError("They ended.", "A log.")

    with pytest.raises(StandstillError, match=r"They ended\. The server counts 6 runs\. A log\."):
        make_driver(make_sweep(), 1, Idle(), fleet=Leaving()).drive()


def test_workers_are_replaced_only_for_runs_that_do_wait() -> None:
    tracker = MemoryTracker()
    answers = list[bool]()

    class Asking(MemoryFleet):
        def adjust(self, waiting: int, training: int, progressed: bool, confirm: Callable[[], bool] = bool) -> None:
            super().adjust(waiting, training, progressed, confirm)
            if len(self.work) == 1:
                run = next(iter(tracker.records.values()))
                tracker.late[run.run_id] = run.model_copy(update={"phase": "finished", "value": 1.0})
                answers.extend([confirm(), confirm()])

    make_driver(make_sweep(), 1, tracker, fleet=Asking()).drive()
    assert answers == [False, True], "asked again at once it trusts what it has just read"
    assert tracker.looked_at_all == 1


@pytest.mark.parametrize(
    ("logged", "goal", "flags"),
    [
        (("loss", "val/return", "lr"), "maximize", "--metric val/return"),
        (("lr", "my loss"), "maximize", "--metric lr"),
        (("grad_norm", "val/loss"), "maximize", "--metric val/loss --goal minimize"),
    ],
)
def test_a_missing_metric_is_said_with_the_command_that_goes_on(logged: tuple[str, ...], goal: str, flags: str) -> None:
    sweep = make_sweep(goal=goal)
    with pytest.raises(MetricMissingError) as caught:
        make_driver(sweep, 1, MemoryTracker(logged=logged), go_on="multistage-sweep --resume x").drive()
    assert caught.value.hint.endswith(f"no run is trained again: multistage-sweep --resume x {flags}")
    assert f"They logged: {', '.join(sorted(logged))}." in caught.value.hint
