from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from multistage.domain.runs.slots import RunPhase, RunRecord, Slot, SlotName, settle_slots
from multistage.domain.runs.vigilance import SHORTEST_STALL, StallWatch, find_bad_worker

START = datetime(2026, 1, 1, tzinfo=UTC)


def make_run(
    index: int, phase: RunPhase, *, rows: int = 0, worker: str | None = None, runtime: float | None = 1.0
) -> RunRecord:
    return RunRecord(
        run_id=f"run{index}",
        name=SlotName(stage=1, index=index),
        phase=phase,
        config={"lr": 0.1},
        rows=rows,
        runtime=runtime,
        worker=worker,
        heartbeat_at=START + timedelta(seconds=index),
    )


def settle(*runs: RunRecord) -> dict[int, Slot]:
    return dict(settle_slots(runs))


def look(watch: StallWatch, runs: Sequence[RunRecord], now: float) -> list[RunRecord]:
    return watch.find_stalled({run.run_id: run for run in runs}, settle_slots(runs).live, now)


def test_a_run_without_new_rows_is_stalled_once_and_again_after_the_same_time() -> None:
    watch = StallWatch(after=10)
    assert look(watch, [make_run(0, "active", rows=3)], 0) == []
    assert look(watch, [make_run(0, "active", rows=4)], 9) == []
    assert look(watch, [make_run(0, "active", rows=4)], 19) == []
    assert [run.run_id for run in look(watch, [make_run(0, "active", rows=4)], 20)] == ["run0"]
    assert look(watch, [make_run(0, "active", rows=4)], 25) == []
    assert len(look(watch, [make_run(0, "active", rows=4)], 31)) == 1


def test_queued_and_ended_runs_never_stall() -> None:
    watch = StallWatch(after=10)
    runs = [make_run(0, "queued"), make_run(1, "finished"), make_run(2, "failed")]
    assert look(watch, runs, 0) == look(watch, runs, 1000) == []


def test_without_a_limit_nothing_stalls_before_a_run_has_ended() -> None:
    watch = StallWatch(after=None)
    silent = make_run(0, "active")
    look(watch, [silent, make_run(1, "active")], 0)
    assert look(watch, [silent, make_run(1, "active", rows=1)], 10 * SHORTEST_STALL) == []
    assert look(watch, [silent, make_run(1, "finished", rows=1)], 10 * SHORTEST_STALL + 1) == []
    late = 30 * SHORTEST_STALL
    assert look(watch, [silent], late) == []
    assert [run.run_id for run in look(watch, [silent], late + 10)] == ["run0"]


def test_a_failed_run_says_nothing_about_how_long_runs_take() -> None:
    watch = StallWatch(after=None)
    look(watch, [make_run(0, "active"), make_run(1, "active")], 0)
    look(watch, [make_run(0, "active"), make_run(1, "failed")], 1)
    assert look(watch, [make_run(0, "active")], 100 * SHORTEST_STALL) == []


def find_bad(slots: Mapping[int, Slot]) -> str | None:
    runs = [run for slot in slots.values() for run in slot.attempts]
    return find_bad_worker(slots, {run.run_id: run.worker for run in runs if run.worker})


def test_a_worker_whose_last_three_runs_failed_at_once_is_bad() -> None:
    runs = [make_run(index, "failed", worker="bad") for index in range(3)]
    assert find_bad(settle(*runs, make_run(3, "finished", worker="good"))) == "bad"
    assert find_bad(settle(make_run(4, "finished", worker="bad", rows=1), *runs)) is None  # nobody to compare with


def test_failures_elsewhere_too_are_no_worker_s_fault() -> None:
    runs = [make_run(index, "failed", worker="bad") for index in range(3)]
    assert find_bad(settle(*runs, make_run(3, "failed", worker="other"))) is None


def test_slow_failures_few_failures_and_recovered_workers_are_not_bad() -> None:
    good = make_run(9, "finished", worker="good")
    slow = [make_run(index, "failed", worker="bad", runtime=600) for index in range(3)]
    assert find_bad(settle(*slow, good)) is None
    few = [make_run(index, "failed", worker="bad", runtime=None) for index in range(2)]
    assert find_bad(settle(*few, good)) is None
    recovered = [
        *(make_run(index, "failed", worker="bad") for index in range(3)),
        make_run(5, "finished", worker="bad"),
    ]
    assert find_bad(settle(*recovered, good)) is None


def test_runs_that_do_not_name_a_worker_are_left_out() -> None:
    assert find_bad(settle(*(make_run(index, "failed") for index in range(4)))) is None
