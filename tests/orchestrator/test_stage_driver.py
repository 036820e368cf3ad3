"""The driver of a stage, against a tracker in memory that finishes, fails and loses runs as it is told."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, count, repeat
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multistage.domain.parameters import FloatParameter
from multistage.domain.plan import STAGES, StageNumber, StagePlan, SweepSettings, derive_seed, plan_sweep
from multistage.domain.results import Config, Evaluation
from multistage.domain.slots import MAX_ATTEMPTS, RunPhase, RunRecord, Slot, SlotName, evaluate_slot
from multistage.domain.space import SearchSpace
from multistage.domain.state import StageProgress
from multistage.errors import AllRunsFailedError, LaunchError, MetricMissingError, SweepFailedError, TrackerError
from multistage.orchestrator.stage_driver import HOPELESS, StageDriver, measure_progress
from multistage.search.multistage import Proposal, StagedSearch
from tests.states import BEGAN, make_settings

SPACE = SearchSpace(
    parameters=(FloatParameter(name="lr", low=1e-4, high=1e-1, scale="log"), FloatParameter(name="a", low=0, high=1))
)
Fate = Callable[[SlotName], RunPhase]


def finish(_: SlotName) -> RunPhase:
    return "finished"


def fail(_: SlotName) -> RunPhase:
    return "failed"


def judge(config: Config) -> float:
    return -((math.log10(float(config["lr"])) + 2) ** 2) - float(config["a"])


class MemoryTracker:
    """A sweep in memory, and the workers that train it: two runs start, and two end, between two looks.

    Args:
        fate: How a run ends.
        logged: The keys that finished runs logged; the metric's value goes with the first, ``score``.
        error: What a failed run says.
    """

    def __init__(self, fate: Fate = finish, logged: tuple[str, ...] = ("score",), error: str = "") -> None:
        self.records: dict[str, RunRecord] = {}
        self.interval = 0.0
        self.fate = fate
        self.logged = logged
        self.error = error
        self.enqueued: list[tuple[SlotName, Config, int | None]] = []
        self.outages: list[TrackerError] = []
        self.endured = 0
        self.ended = False
        self.stopped: list[str] = []
        self.hidden: list[RunRecord] = []
        """Enqueued and not told of yet: a server may answer before its lists know."""
        self._runs: dict[str, RunRecord] = {}
        self._ids = count()
        self.worker: Callable[[SlotName], str | None] = lambda _: None

    def read(self) -> Sequence[RunRecord]:
        if self.outages:
            raise self.outages.pop()
        self.work()
        changed = [run for run in self._runs.values() if self.records.get(run.run_id) != run]
        self.records.update({run.run_id: run for run in changed})
        for run in self.hidden:
            self._runs[run.run_id] = run
        self.hidden.clear()
        return changed

    def fill(self, runs: int) -> None:
        """Propose runs as W&B's engine does."""
        for index in range(runs):
            self.enqueue(SlotName(stage=2, index=index), {"lr": 1e-2, "a": 0.5}, None)

    def work(self) -> None:
        active = [run for run in self._runs.values() if run.phase == "active"][:2]
        queued = [run for run in self._runs.values() if run.phase == "queued"][:2]
        for run in active:
            self._settle(run, self.fate(run.name))
        for run in queued:
            self._runs[run.run_id] = run.model_copy(update={"phase": "active"})

    def _settle(self, run: RunRecord, phase: RunPhase) -> None:
        has_value = phase == "finished" and "score" in self.logged
        self._runs[run.run_id] = run.model_copy(
            update={
                "phase": phase,
                "worker": self.worker(run.name),
                "value": judge(run.config) if has_value else None,
                "logged": self.logged if phase == "finished" else (),
                "error": self.error if phase == "failed" else "",
            }
        )

    def enqueue(self, name: SlotName, config: Config, seed: int | None) -> None:
        self.enqueued.append((name, config, seed))
        run = RunRecord(run_id=f"run{next(self._ids)}", name=name, phase="queued", config=config, seed=seed)
        self.hidden.append(run)

    def stop(self, run: RunRecord) -> None:
        self.stopped.append(run.run_id)
        self._runs[run.run_id] = run.model_copy(update={"phase": "lost"})

    def has_ended(self) -> bool:
        return self.ended

    def endure(self, error: TrackerError) -> None:  # noqa: ARG002
        self.endured += 1


class MemoryFleet:
    """Workers that are always there; remembers how many open slots it was told of."""

    def __init__(self, reason: str = "") -> None:
        self.work: list[int] = []
        self.retired: list[str] = []
        self.exhausted = False
        self.reason = reason

    def tend(self, work: int, progressed: bool) -> None:  # noqa: ARG002
        self.work.append(work)

    def retire(self, worker_id: str) -> None:
        self.retired.append(worker_id)

    def explain_failure(self, run: RunRecord) -> str:
        return f"{self.reason} of {run.run_id}" if self.reason else ""


def make_sweep(budget: int = 20, **changes: object) -> SweepSettings:
    return make_settings(space=SPACE, budget=budget, metric="score", seed_parameter="seed", **changes)


class QuickSearch(StagedSearch):
    """Proposes the middle of the box, for tests of the driver alone."""

    def propose(
        self,
        stage: Literal[2, 3],
        box: SearchSpace,
        evaluations: Sequence[Evaluation],  # noqa: ARG002
        pending: Sequence[Proposal],  # noqa: ARG002
        used: int,
        count: int,
    ) -> list[Proposal]:
        middle = box.from_unit(np.full(len(box.names), 0.5))
        return [Proposal(config=middle)] * min(count, self._budgets[stage - 1] - used)


def make_driver(
    sweep: SweepSettings,
    number: StageNumber,
    tracker: MemoryTracker,
    *,
    search: type[StagedSearch] = QuickSearch,
    earlier: Sequence[Evaluation] = (),
    fleet: MemoryFleet | None = None,
    report: Callable[[Mapping[int, Slot]], None] = lambda _: None,
    **options: Any,
) -> StageDriver:
    plan = plan_sweep(sweep).stages
    proposer = search(
        sweep.space,
        sweep.goal,
        (plan[0].runs, plan[1].runs, plan[2].runs),
        finalists=plan[2].finalists,
        seed=sweep.seed,
    )
    return StageDriver(
        settings=sweep, stage=plan[number - 1], box=sweep.space, earlier=earlier, search=proposer, tracker=tracker,
        fleet=fleet or MemoryFleet(), ahead=2, report=report, **options,
    )  # fmt: skip


def find_stage(sweep: SweepSettings, number: StageNumber) -> StagePlan:
    return plan_sweep(sweep).stages[number - 1]


def evaluate_all(number: StageNumber, slots: Mapping[int, Slot]) -> list[Evaluation]:
    found = [evaluate_slot(number, slot) for slot in slots.values()]
    return [evaluation for evaluation in found if evaluation is not None]


def test_three_stages_use_exactly_their_budgets_and_queue_little_ahead() -> None:
    sweep = make_sweep(30, finalists=2)
    earlier: list[Evaluation] = []
    for number in STAGES:
        tracker, fleet = MemoryTracker(), MemoryFleet()
        slots = make_driver(sweep, number, tracker, search=StagedSearch, earlier=earlier, fleet=fleet).drive()
        runs = find_stage(sweep, number).runs
        assert list(slots) == list(range(runs))
        assert all(slot.status == "used" for slot in slots.values())
        assert sorted(name.index for name, _, _ in tracker.enqueued) == list(range(runs))
        assert max(fleet.work) == (runs if number == 1 else 4)
        assert fleet.work[-1] == 0
        earlier += evaluate_all(number, slots)
    assert len(earlier) == sweep.budget


@pytest.mark.parametrize("number", STAGES)
@settings(max_examples=50, deadline=None)
@given(fates=st.lists(st.sampled_from(["finished", "finished", "failed", "lost"]), min_size=60, max_size=60))
def test_lost_runs_are_trained_again_at_most_twice_and_never_counted(
    number: StageNumber, fates: list[RunPhase]
) -> None:
    sweep = make_sweep()
    script: Iterator[RunPhase] = chain(fates, repeat("finished"))
    tracker = MemoryTracker(lambda name: "finished" if name.index == 0 else next(script))
    slots = make_driver(sweep, number, tracker, earlier=[make_evaluation(index) for index in range(4)]).drive()

    assert list(slots) == list(range(find_stage(sweep, number).runs))
    names = [str(name) for name, _, _ in tracker.enqueued]
    assert len(set(names)) == len(names), "a slot was doubled"
    assert {run.run_id for slot in slots.values() for run in slot.attempts} == set(tracker.records)
    for index, slot in slots.items():
        assert slot.status == "used"
        assert [run.name.attempt for run in slot.attempts] == list(range(len(slot.attempts)))
        assert len(slot.attempts) <= MAX_ATTEMPTS
        assert [run.phase for run in slot.attempts[:-1]] == ["lost"] * (len(slot.attempts) - 1)
        assert all(run.config == slot.attempts[0].config for run in slot.attempts)
        assert all(run.seed == derive_seed(sweep, number, index) for run in slot.attempts)
        assert (slot.last.phase == "lost") == (slot.outcome == "failed" and slot.lost == MAX_ATTEMPTS)


def make_evaluation(index: int) -> Evaluation:
    config: Config = {"lr": 10 ** -(1 + index / 2), "a": 0.1 * index}
    return Evaluation(stage=1, index=index, config=config, outcome="finished", value=judge(config))


@pytest.mark.parametrize("number", STAGES)
@settings(max_examples=30, deadline=None)
@given(looks=st.integers(0, 14))
def test_a_driver_that_starts_in_the_middle_enqueues_nothing_twice(number: StageNumber, looks: int) -> None:
    """The first driver dies at any look; the second one has nothing but the tracker."""
    sweep = make_sweep()
    earlier = [make_evaluation(index) for index in range(4)]
    tracker = MemoryTracker(lambda name: "lost" if name.index == 1 and name.attempt == 0 else "finished")

    class KilledError(Exception):
        pass

    seen = count()

    def die(_: Mapping[int, Slot]) -> None:
        if next(seen) == looks:
            raise KilledError

    try:
        make_driver(sweep, number, tracker, earlier=earlier, report=die).drive()
    except KilledError:
        tracker.read()
        tracker.records.clear()
        slots = make_driver(sweep, number, tracker, earlier=earlier).drive()
        assert list(slots) == list(range(find_stage(sweep, number).runs))
    names = [str(name) for name, _, _ in tracker.enqueued]
    assert len(set(names)) == len(names)
    assert len(names) == find_stage(sweep, number).runs + 1


def test_stage_1_proposes_the_same_configs_whatever_happens() -> None:
    sweep = make_sweep(40)
    calm, rough = MemoryTracker(), MemoryTracker(lambda name: "finished" if name.attempt else "lost")
    for tracker in (calm, rough):
        make_driver(sweep, 1, tracker).drive()
    configs = {name.index: config for name, config, _ in calm.enqueued}
    assert {name.index: config for name, config, _ in rough.enqueued} == configs
    assert len(rough.enqueued) == 2 * len(calm.enqueued)


def test_a_training_without_a_seed_gets_none() -> None:
    tracker = MemoryTracker()
    make_driver(make_sweep().model_copy(update={"seed_parameter": None}), 1, tracker).drive()
    assert {seed for _, _, seed in tracker.enqueued} == {None}


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


def test_an_absent_server_is_endured_and_nothing_is_lost() -> None:
    tracker = MemoryTracker()
    tracker.outages = [TrackerError("away")] * 3
    slots = make_driver(make_sweep(), 1, tracker).drive()
    assert tracker.endured == 3
    assert len(slots) == len(tracker.enqueued) == 6


def test_a_server_that_leaves_while_runs_are_enqueued_gets_each_once() -> None:
    class Leaving(MemoryTracker):
        def enqueue(self, name: SlotName, config: Config, seed: int | None) -> None:
            if len(self.enqueued) == 3 and not self.endured:
                raise TrackerError("away")
            super().enqueue(name, config, seed)

    tracker = Leaving()
    make_driver(make_sweep(), 1, tracker).drive()
    assert tracker.endured == 1
    assert [name.index for name, _, _ in tracker.enqueued] == list(range(6))


def test_dying_workers_end_the_stage() -> None:
    class Dying(MemoryFleet):
        def tend(self, work: int, progressed: bool) -> None:  # noqa: ARG002
            raise LaunchError("dead")

    with pytest.raises(LaunchError):
        make_driver(make_sweep(), 1, MemoryTracker(), fleet=Dying()).drive()


def test_a_sweep_stopped_from_outside_ends_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multistage.orchestrator.stage_driver.ASK_EVERY", 0.0)
    tracker = MemoryTracker(lambda _: "active")
    tracker.ended = True
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
    monkeypatch.setattr("multistage.orchestrator.stage_driver.ASK_EVERY", 0.0)
    tracker = MemoryTracker()
    tracker.ended = True
    tracker.fill(3)
    with pytest.raises(SweepFailedError, match=r"ended from outside, with 3 of its 10 runs"):
        make_driver(make_sweep(search="wandb"), 2, tracker).drive()


def test_a_server_that_leaves_when_it_is_asked_for_the_sweeps_state_is_endured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multistage.orchestrator.stage_driver.ASK_EVERY", 0.0)

    class Leaving(MemoryTracker):
        def has_ended(self) -> bool:
            if not self.endured:
                raise TrackerError("away")
            return False

    tracker = Leaving()
    assert len(make_driver(make_sweep(), 1, tracker).drive()) == 6
    assert tracker.endured == 1


def test_a_stage_that_is_overdue_ends_with_what_it_has() -> None:
    looks = count()
    driver = make_driver(make_sweep(), 1, MemoryTracker(), is_overdue=lambda: next(looks) > 3)
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


def test_progress_counts_slots_and_never_takes_an_infinite_best() -> None:
    def make_slot(index: int, phase: RunPhase, value: float | None = None) -> Slot:
        run = RunRecord(run_id=f"r{index}", name=SlotName(stage=1, index=index), phase=phase, config={}, value=value)
        ended = phase in ("finished", "failed")
        outcome = phase if phase == "finished" or phase == "failed" else None
        return Slot(index=index, attempts=(run,), status="used" if ended else "open", outcome=outcome)

    slots = [
        make_slot(0, "finished", 0.5), make_slot(1, "finished", math.inf), make_slot(2, "finished", math.nan),
        make_slot(3, "finished", 0.7), make_slot(4, "failed", 9.0), make_slot(5, "active", 0.9), make_slot(6, "queued"),
    ]  # fmt: skip
    progress = StageProgress(stage=1, runs=9, started_at=BEGAN)
    now = measure_progress(progress, dict(enumerate(slots)), "maximize")
    assert (now.used, now.running, now.queued, now.failed, now.best_metric) == (5, 1, 1, 1, 0.7)
    assert measure_progress(progress, dict(enumerate(slots)), "minimize").best_metric == 0.5
    assert measure_progress(progress, {}, "minimize").best_metric is None
