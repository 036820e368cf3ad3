"""What a sweep's page is told: of any state, by a pure function."""

import json
import math
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from multistage.domain.live.digest import FEWEST, PACED, end_summary, summarize
from multistage.domain.live.sight import Sight
from multistage.domain.live.summary import MAX_WORDS, LiveSummary
from multistage.domain.runs.slots import RunPhase, RunRecord, SlotName
from multistage.domain.space.narrowing import ParameterNarrowing
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.state import PendingApproval, StageProgress, State
from multistage.domain.workers.cost import Cost, Prices
from tests.states import BEGAN, make_settings, make_stage, make_state


def make_run(index: int, phase: RunPhase = "finished", value: float | None = 0.5, **changes: Any) -> RunRecord:
    """A run that began after ``index`` minutes and trained for 30 s."""
    began = BEGAN + timedelta(minutes=index)
    given: dict[str, Any] = {
        "run_id": f"run{index}",
        "name": SlotName(stage=1, index=index),
        "phase": phase,
        "config": {"lr": 10 ** (-2 - index % 3)},
        "value": value,
        "created_at": began,
        "began_at": began,
        "heartbeat_at": began + timedelta(seconds=30),
    }
    return RunRecord(**given | changes)


def look(*runs: RunRecord, **changes: Any) -> Sight:
    return Sight(**{"runs": runs, "since": BEGAN, **changes})


def sum_up(state: State, sight: Sight, minutes: float = 60) -> LiveSummary:
    return summarize(state, sight, BEGAN + timedelta(minutes=minutes))


def in_stage(stage: int = 1, **counts: Any) -> State:
    """A sweep in the middle of a stage."""
    now = StageProgress(stage=stage, runs=9, started_at=BEGAN, **counts)
    used = 9 * (stage - 1) + now.used
    return make_state(stage - 1, current_stage=now, budget_used=used)


def test_a_summary_survives_its_way_through_json() -> None:
    state = in_stage(2, used=3, running=1, queued=2, failed=1, attempts_lost=1, best_metric=0.7)
    sight = look(
        make_run(1, value=math.nan), make_run(0), make_run(2, "active"), curves={"run2": ((1.0, 0.1),)},
        stage_links={2: "http://127.0.0.1/local/p/sweeps/x"}, links={"Prefect": "http://127.0.0.1:4200/"},
    )  # fmt: skip
    summary = sum_up(state, sight)
    again = LiveSummary.model_validate_json(summary.model_dump_json())
    assert again == summary
    assert [run.run for run in again.runs] == ["run0", "run1", "run2"]
    assert [run.value for run in again.runs] == [0.5, None, 0.5]  # NaN is no value
    assert again.runs[2].curve == ((1.0, 0.1),)
    first, second, third = again.stages
    assert (first.status, second.status, third.status) == ("done", "running", "to come")
    assert (second.used, second.running, second.queued, second.failed, second.lost, second.best) == (3, 1, 2, 1, 1, 0.7)
    assert second.link == "http://127.0.0.1/local/p/sweeps/x"
    assert (again.used, again.budget, again.search) == (12, 30, "gaussian process")


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//elsewhere", "ftp://x", "\n/x"])
def test_no_script_is_a_link(address: str) -> None:
    told = json.loads(sum_up(make_state(), look()).model_dump_json())
    told["links"] = {"W&B": address}
    with pytest.raises(ValidationError):
        LiveSummary.model_validate(told)


def test_the_leader_is_a_run_that_finished_and_the_defaults_are_told_apart() -> None:
    state = make_state(settings=make_settings(baseline={"lr": 0.01}))
    runs = [
        make_run(0, value=0.4), make_run(1, value=0.8), make_run(2, "failed", 0.99), make_run(3, "stopped", 0.95),
        make_run(4, value=math.inf), make_run(5, value=None), make_run(6, value=math.nan),
    ]  # fmt: skip
    summary = sum_up(state, look(*runs))
    assert summary.leader is not None
    assert (summary.leader.run, summary.leader.value) == ("run1", 0.8)
    assert summary.defaults == (0.4,)  # runs 3 and 6 had them too, without a value that counts
    less = sum_up(make_state(goal="minimize"), look(*runs))
    assert less.leader is not None
    assert less.leader.run == "run0"
    assert less.defaults == ()
    assert sum_up(state, look()).leader is None


def test_failed_runs_say_why_in_their_own_words_or_their_log_s() -> None:
    runs = [
        make_run(0, "failed", error="ValueError: lr"), make_run(1, "failed"), make_run(2, "lost", error="x" * 5000),
        make_run(3, error="told, and yet it finished"),
    ]  # fmt: skip
    told = sum_up(make_state(), look(*runs, reasons={"run1": "MemoryError", "run0": "other"})).runs
    assert [run.error for run in told] == ["ValueError: lr", "MemoryError", "x" * MAX_WORDS, ""]


def test_spending_counts_the_seconds_of_training_and_what_was_in_vain() -> None:
    runs = [
        make_run(0), make_run(1, "failed"), make_run(2, "lost"), make_run(59, "active"),
        make_run(3, "queued", began_at=None), make_run(4, heartbeat_at=None),
    ]  # fmt: skip
    free = sum_up(make_state(), look(*runs)).spending
    assert (free.trained, free.in_vain, free.dollars) == (150.0, 60.0, None)
    cost = Cost(rates=Prices(source="a list"), dollars=1.5)
    paid = sum_up(make_state(cost=cost), look(*runs)).spending
    assert (paid.dollars, paid.source) == (1.5, "a list")


def test_the_pace_is_that_of_the_last_runs_which_this_process_saw() -> None:
    state = in_stage(used=9)
    runs = [make_run(minute) for minute in range(30)]
    found = sum_up(state, look(*runs), minutes=30).pace
    assert found is not None
    seconds = (30 - (30 - PACED)) * 60 - 30
    assert found.runs_an_hour == pytest.approx(3600 * (PACED - 1) / seconds)
    assert found.seconds_left == pytest.approx(21 * seconds / (PACED - 1))
    late = look(*runs, since=BEGAN + timedelta(minutes=30 - FEWEST + 1))
    assert sum_up(state, late).pace is None
    assert sum_up(in_stage(used=30), look(*runs)).pace is None
    assert sum_up(state.model_copy(update={"status": "stopped"}), look(*runs)).pace is None


SPACE: tuple[Parameter, ...] = (
    FloatParameter(name="lr", low=1e-4, high=1e-2, scale="log"),
    IntParameter(name="layers", low=1, high=4),
    PowerOfTwoParameter(name="batch", low=8, high=64),
    CategoricalParameter(name="act", choices=("relu", "tanh", "elu", "gelu")),
    IntParameter(name="one", low=3, high=3),
)
NARROWED: tuple[Parameter, ...] = (
    FloatParameter(name="lr", low=1e-3, high=1e-2, scale="log"),
    IntParameter(name="layers", low=2, high=3),
    PowerOfTwoParameter(name="batch", low=16, high=32),
    CategoricalParameter(name="act", choices=("relu", "gelu")),
    IntParameter(name="one", low=3, high=3),
)


def test_ranges_close_in_stage_by_stage() -> None:
    note = ParameterNarrowing(
        name="lr", before=(1e-4, 1e-2), after=(1e-3, 1e-2), edge="high", importance=0.6, evidence="lr goes up."
    )
    space = SearchSpace(parameters=SPACE)
    settings = make_settings(space=space, baseline={"lr": 1e-3, "layers": 9, "act": "tanh"})
    record = make_stage(1).model_copy(update={"next_space": SearchSpace(parameters=NARROWED), "narrowing": (note,)})
    state = make_state(settings=settings, stages_completed=(record, make_stage(2)))
    lr, layers, batch, act, one = sum_up(state, look()).parameters
    assert [span.stage for span in lr.spans] == [1, 2]
    assert lr.spans[1].parts[0] == pytest.approx((0.5, 1.0))
    assert (lr.spans[1].words, lr.spans[1].why, lr.spans[0].why) == ("0.001 to 0.01", "lr goes up.", "")
    assert (lr.scale, lr.importance, lr.ends) == ("log", 0.6, ("0.0001", "0.01"))
    assert lr.default == pytest.approx(0.5)
    assert layers.spans[1].parts == ((0.25, 0.75),)
    assert (layers.default, layers.spans[1].why) == (None, "")  # 9 lies outside
    assert (batch.scale, batch.spans[1].parts) == ("log2", ((0.25, 0.75),))
    assert act.spans[0].parts == ((0.0, 1.0),)
    assert act.spans[1].parts == ((0.0, 0.25), (0.75, 1.0))
    assert (act.scale, act.choices) == ("choices", ("relu", "tanh", "elu", "gelu"))
    assert act.spans[1].words == "relu, gelu"
    assert one.spans[0].parts == ((0.0, 1.0),)


@pytest.mark.parametrize(
    ("state", "sight", "what", "why"),
    [
        (make_state(), look(), "Stage 1 is about to begin.", "are being made"),
        (make_state(3), look(), "All stages are done.", "being settled"),
        (in_stage(queued=1), look(), "1 run waits for a worker.", "being started"),
        (in_stage(queued=2), look(make_run(0), present=0), "2 runs wait for a worker.", "None is running"),
        (in_stage(queued=2), look(present=1), "2 runs wait for a worker.", "1 of 2 workers are running"),
        (in_stage(queued=2), look(present=2), "2 runs wait for a worker.", "All 2 workers are busy with other runs."),
        (
            in_stage(queued=2, waiting="2 jobs wait in Slurm's queue: Resources"), look(present=0),
            "2 runs wait for a worker.", "2 jobs wait in Slurm's queue: Resources.",
        ),
        (in_stage(queued=2), look(present=2, intake="paused"), "Stage 1 is paused.", "Somebody paused"),
        (in_stage(queued=2), look(exhausted=True), "No worker is left.", "cost cap"),
        (in_stage(), look(away="It is down."), "The W&B server does not answer.", "It is down. It is asked again"),
    ],
)  # fmt: skip
def test_what_waits_is_told_with_the_reason(state: State, sight: Sight, what: str, why: str) -> None:
    (wait,) = sum_up(state, sight).waits
    assert wait.what == what
    assert why in wait.why


def test_one_worker_is_one_worker() -> None:
    state = in_stage(queued=1)
    alone = state.model_copy(update={"options": state.options.model_copy(update={"workers": 1})})
    assert sum_up(alone, look(present=1)).waits[0].why == "The worker is busy with another run."


def test_a_person_who_is_waited_for_is_told_where() -> None:
    asked = PendingApproval(stage=2, proposed={}, url="http://127.0.0.1:4200/x", until=BEGAN)
    (wait,) = sum_up(make_state(1, pending_approval=asked), look()).waits
    assert (wait.what, wait.link) == ("Stage 2 waits for you.", "http://127.0.0.1:4200/x")
    assert "multistage-sweep approve made" in wait.why
    (elsewhere,) = sum_up(make_state(1, pending_approval=asked), look(called="/runs/made")).waits
    assert "`multistage-sweep approve /runs/made`" in elsewhere.why
    assert "2026-01-02 03:04 UTC" in wait.why
    for_ever = asked.model_copy(update={"until": None, "url": "None"})
    (wait,) = sum_up(make_state(1, pending_approval=for_ever), look()).waits
    assert (wait.link, "UTC" in wait.why) == (None, False)


def test_what_runs_in_no_stage_waits_for_nothing() -> None:
    assert sum_up(in_stage(running=1), look(present=1)).waits == ()
    assert sum_up(in_stage(queued=3).model_copy(update={"status": "failed"}), look()).waits == ()


def test_an_end_is_told_on_the_last_summary() -> None:
    state = in_stage(queued=3)
    last = sum_up(state, look(*(make_run(minute) for minute in range(9)), present=1))
    assert last.pace is not None
    stopped = state.model_copy(update={"status": "stopped", "ended_because": "Ctrl+C"})
    ended = end_summary(last, stopped, BEGAN + timedelta(hours=2))
    assert (ended.status, ended.ended_because, ended.waits, ended.pace) == ("stopped", "Ctrl+C", (), None)
    assert ended.runs == last.runs
    assert ended.told_at == (BEGAN + timedelta(hours=2)).timestamp()
