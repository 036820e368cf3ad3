"""The driver of a stage where all goes well, and where runs are lost on the way."""

import math
from collections.abc import Iterator, Mapping
from itertools import chain, count, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multistage.domain.runs.results import Evaluation
from multistage.domain.runs.slots import MAX_ATTEMPTS, RunPhase, RunRecord, Slot, SlotName, Slots
from multistage.domain.sweep.plan import STAGES, StageNumber, derive_seed
from multistage.domain.sweep.state import StageProgress
from multistage.driver.stage_driver import measure_progress
from multistage.search.searchers.gp import GaussianProcessSearcher
from tests.driver.drivers import (
    MemoryFleet,
    MemoryTracker,
    find_stage,
    make_driver,
    make_evaluation,
    make_sweep,
)
from tests.states import BEGAN


def test_three_stages_use_exactly_their_budgets_and_queue_little_ahead() -> None:
    sweep = make_sweep(30, finalists=2)
    earlier: list[Evaluation] = []
    for number in STAGES:
        tracker, fleet = MemoryTracker(), MemoryFleet()
        slots = make_driver(
            sweep, number, tracker, search=GaussianProcessSearcher, earlier=earlier, fleet=fleet
        ).drive()
        runs = find_stage(sweep, number).runs
        assert list(slots) == list(range(runs))
        assert all(slot.status == "used" for slot in slots.values())
        assert sorted(name.index for name, _, _ in tracker.enqueued) == list(range(runs))
        assert max(sum(each) for each in fleet.work) == (runs if number == 1 else 4)
        assert fleet.work[-1] == (0, 0)
        earlier += slots.list_evaluations()
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
    now = measure_progress(progress, Slots(slots), "maximize")
    assert (now.used, now.running, now.queued, now.failed, now.best_metric) == (5, 1, 1, 1, 0.7)
    assert measure_progress(progress, Slots(slots), "minimize").best_metric == 0.5
    assert measure_progress(progress, Slots(), "minimize").best_metric is None
