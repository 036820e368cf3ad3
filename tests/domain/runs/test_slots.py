"""Slots: the unit of a budget, settled from the runs that are their attempts."""

import math
from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multistage.domain.runs.slots import (
    MAX_ATTEMPTS,
    RESUMED_ATTEMPTS,
    SETUP,
    RunPhase,
    RunRecord,
    SlotName,
    SlotTable,
    classify_run,
    count_attempts,
    parse_slot_name,
    settle_slot,
    settle_slots,
)


def make_run(
    phase: RunPhase, index: int = 0, attempt: int = 0, value: float | None = None, finalist: bool = False
) -> RunRecord:
    return RunRecord(
        run_id=f"run-{index}-{attempt}",
        name=SlotName(stage=1, index=index, attempt=attempt),
        phase=phase,
        config={"lr": 0.1 * (index + 1)},
        seed=index,
        value=value,
        finalist=finalist,
    )


def make_attempts(phases: Sequence[RunPhase], index: int = 0) -> list[RunRecord]:
    return [make_run(phase, index, attempt) for attempt, phase in enumerate(phases)]


@pytest.mark.parametrize(
    ("state", "stop_requested", "phase"),
    [
        ("pending", False, "queued"),
        ("preempted", False, "queued"),
        ("running", False, "active"),
        ("running", True, "active"),
        ("preempting", False, "active"),
        ("finished", False, "finished"),
        ("finished", True, "stopped"),
        ("failed", False, "failed"),
        ("failed", True, "stopped"),
        ("crashed", False, "lost"),
        ("killed", False, "lost"),
        ("killed", True, "stopped"),
        ("crashed", True, "stopped"),
        ("a word of next year's", False, "active"),
    ],
)
def test_one_function_says_what_a_state_means(state: str, stop_requested: bool, phase: RunPhase) -> None:
    assert classify_run(state, stop_requested) == phase


@pytest.mark.parametrize(
    ("state", "fault", "phase"),
    [("failed", SETUP, "lost"), ("finished", SETUP, "finished"), ("failed", "somebody's", "failed")],
)
def test_a_failure_that_no_config_caused_uses_no_slot(state: str, fault: str, phase: RunPhase) -> None:
    assert classify_run(state, fault=fault) == phase


@given(st.integers(1, 3), st.integers(0, 10**6), st.integers(0, 9))
def test_a_slots_name_reads_back(stage: int, index: int, attempt: int) -> None:
    name = SlotName(stage=stage, index=index, attempt=attempt)
    assert parse_slot_name(str(name)) == name


@pytest.mark.parametrize("text", ["", "s1-7", "s4-0001", "s1-0001-r0", "s1-0001-r", "s1-0001 ", "peachy-sweep-3"])
def test_a_run_named_by_somebody_else_is_no_slots(text: str) -> None:
    assert parse_slot_name(text) is None


def test_names_look_as_documented() -> None:
    assert str(SlotName(stage=1, index=7)) == "s1-0007"
    assert str(SlotName(stage=3, index=12345, attempt=2)) == "s3-12345-r2"


@given(st.lists(st.sampled_from(get_args(RunPhase)), min_size=1, max_size=5))
def test_a_slot_stands_where_its_attempts_left_it(phases: list[RunPhase]) -> None:
    slot = settle_slot(0, make_attempts(phases))
    good = [phase for phase in phases if phase in ("finished", "stopped")]
    since_failure = "".join(f"{phase} " for phase in phases).rpartition("failed ")[2].split()
    if good:
        assert (slot.status, slot.outcome) == ("used", good[0])
        assert slot.decisive.phase == good[0]
        assert slot.lost == phases.count("lost") + phases.count("failed")
    elif set(since_failure) & {"queued", "active"}:
        assert (slot.status, slot.outcome) == ("open", None)
    elif "failed" in phases:
        assert (slot.status, slot.outcome) == ("used", "failed")
        assert slot.decisive.phase == "failed"
        assert slot.lost == phases.count("lost") + phases.count("failed") - 1
    elif len(phases) < MAX_ATTEMPTS:
        assert (slot.status, slot.outcome, slot.lost) == ("retry", None, phases.count("lost"))
    else:
        assert (slot.status, slot.outcome, slot.lost) == ("used", "failed", len(phases))
        assert slot.decisive == slot.last
    assert slot.last.name.attempt == len(phases) - 1


@given(
    st.dictionaries(
        st.integers(0, 40), st.lists(st.sampled_from(get_args(RunPhase)), min_size=1, max_size=4), max_size=12
    ),
    st.randoms(use_true_random=False),
)
def test_settling_neither_loses_nor_doubles_a_slot(plan: dict[int, list[RunPhase]], random: object) -> None:
    runs = [run for index, phases in plan.items() for run in make_attempts(phases, index)]
    getattr(random, "shuffle")(runs)  # noqa: B009 - hypothesis gives its Random no public type
    slots = settle_slots(runs)
    assert list(slots) == sorted(plan)
    settled = [run.run_id for slot in slots.values() for run in slot.attempts]
    assert sorted(settled) == sorted(run.run_id for run in runs)
    for index, slot in slots.items():
        assert [run.phase for run in slot.attempts] == plan[index]
        assert slot.index == index


@given(st.lists(st.sampled_from(get_args(RunPhase)), min_size=1, max_size=4))
def test_a_used_slot_stays_used_with_the_same_outcome_whatever_is_reported_later(phases: list[RunPhase]) -> None:
    before = settle_slot(0, make_attempts(phases))
    after = settle_slot(0, make_attempts([*phases, "lost"]))
    if before.outcome is not None:
        assert (after.status, after.outcome) == (before.status, before.outcome)


def test_an_attempt_given_up_as_lost_that_finishes_after_all_settles_its_slot() -> None:
    slot = settle_slot(4, make_attempts(["finished", "active"], 4))
    assert (slot.status, slot.outcome, slot.decisive.name.attempt) == ("used", "finished", 0)


def test_an_open_slot_is_no_evidence() -> None:
    assert settle_slots([make_run("active")]).list_evaluations() == []


def test_a_used_slot_is_evidence_of_its_decisive_run() -> None:
    lost, ended = make_run("lost", 3), make_run("finished", 3, 1, value=0.5, finalist=True)
    [evaluation] = settle_slots([ended, lost]).list_evaluations()
    assert (evaluation.stage, evaluation.index, evaluation.outcome) == (1, 3, "finished")
    assert (evaluation.value, evaluation.run_id, evaluation.seed) == (0.5, "run-3-1", 3)
    assert evaluation.config == ended.config
    assert evaluation.finalist


def test_a_value_that_is_not_finite_is_a_value_and_told_apart() -> None:
    values = (0.5, math.nan, math.inf, None)
    slots = settle_slots(make_run("finished", index, value=value) for index, value in enumerate(values))
    assert (slots.valued, slots.finite) == ({0, 1, 2}, {0})
    slots.put(settle_slot(0, [make_run("finished", value=-math.inf)]))
    assert slots.finite == set()


def test_what_a_failed_run_logged_before_is_no_value() -> None:
    [evaluation] = settle_slots([make_run("failed", value=0.9)]).list_evaluations()
    assert (evaluation.outcome, evaluation.value) == ("failed", None)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(0, 2), st.sampled_from(get_args(RunPhase)), st.sampled_from([None, 0.5])
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_table_settles_as_if_it_saw_all_for_the_first_time(
    changes: list[tuple[int, int, RunPhase, float | None]],
) -> None:
    table, runs = SlotTable(), dict[str, RunRecord]()
    for index, attempt, phase, value in changes:
        run = make_run(phase, index, attempt, value)
        runs[run.run_id] = run
        slots, anew = table.settle(runs), settle_slots(runs.values())
        assert list(slots.items()) == list(anew.items())
        assert vars(slots) == vars(anew)
        used = [slot for slot in slots.values() if slot.status == "used"]
        assert slots.used == len(used)
        assert [one.index for one in slots.list_evaluations()] == [slot.index for slot in used]
        assert slots.live == {run_id: run for run_id, run in runs.items() if run.phase in ("queued", "active")}
        assert slots.failed == {slot.index for slot in used if slot.outcome == "failed"}
        assert slots.valued == {slot.index for slot in used if slot.decisive.value is not None}
        assert sum(slots.lost.values()) == sum(slot.lost for slot in slots.values())


def test_a_table_forgets_what_is_gone_and_what_moved() -> None:
    table = SlotTable()
    first, second = make_run("active", 0), make_run("active", 1)
    table.settle({"a": first, "b": second})
    assert list(table.settle({"b": second})) == [1]
    moved = second.model_copy(update={"name": SlotName(stage=1, index=5)})
    assert list(table.settle({"b": moved})) == [5]


def test_a_table_settles_only_what_has_changed_anew() -> None:
    runs = {"b": make_run("active", 1)}
    table = SlotTable()
    table.settle(runs)
    runs["a"] = make_run("active", 0)
    before = dict(table.settle(runs))
    runs["b"] = make_run("finished", 1, value=0.5)
    after = table.settle(runs)
    assert list(after) == [0, 1]
    assert after[0] is before[0]
    assert (after[1].outcome, after[1].decisive.value) == ("finished", 0.5)


def test_only_where_this_project_proposes_is_a_slot_trained_again() -> None:
    assert (count_attempts(True), count_attempts(False)) == (MAX_ATTEMPTS, 1)
    assert (count_attempts(True, True), count_attempts(False, True)) == (RESUMED_ATTEMPTS, 1)
