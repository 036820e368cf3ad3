"""Who trained what when, what of it was idle or in vain, what it cost, and why runs failed."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from multistage.domain.runs.slots import RunPhase, RunRecord
from multistage.domain.sweep.state import State
from multistage.report.data import ReportData

FINEST = 2000
"""Runs of one kind whose gaps are below this part of the whole time are drawn as one bar."""
IN_VAIN = ("failed", "lost")


class Span(NamedTuple):
    """What a worker did from one moment to another: one run, or several of one kind with no gap that could be seen."""

    began_at: datetime
    ended_at: datetime
    phase: RunPhase
    runs: list[RunRecord]


class Lane(NamedTuple):
    """What one place for a worker did, one span after the other; workers of later stages take over free places."""

    spans: list[Span]


class Workload(NamedTuple):
    """Where the workers' time went, in seconds.

    A lane's gaps between two runs are their start-up, as long as its worker usually takes from one run to the next, and
    the rest of them is idle.
    """

    lanes: list[Lane]
    trained: float
    in_vain: float
    starting: float
    idle: float

    @property
    def seconds(self) -> float:
        """The workers' time in all."""
        return self.trained + self.in_vain + self.starting + self.idle

    @property
    def elapsed(self) -> float:
        """Seconds from the first run's beginning to the last one's end."""
        ends = [span for lane in self.lanes for span in lane.spans]
        if not ends:
            return 0.0
        return (max(end.ended_at for end in ends) - min(end.began_at for end in ends)).total_seconds()


def list_timed(data: ReportData) -> list[RunRecord]:
    """List the runs whose times are known, the earliest first."""
    timed = [run for run in data.runs if run.began_at and run.heartbeat_at]
    return sorted(timed, key=lambda run: (_began(run), run.run_id))


def measure_run(run: RunRecord) -> float:
    """Measure how long a run trained, in seconds; 0 where its times are not known."""
    if run.began_at is None or run.heartbeat_at is None:
        return 0.0
    return max(0.0, (run.heartbeat_at - run.began_at).total_seconds())


def arrange_workload(data: ReportData) -> Workload:
    """Put the runs under as few lanes as their workers' times allow."""
    timed = list_timed(data)
    workers: dict[str, list[RunRecord]] = {}
    for run in timed:
        workers.setdefault(run.worker or run.run_id, []).append(run)
    lanes: list[list[RunRecord]] = []
    ends: list[tuple[datetime, int]] = []
    for runs in sorted(workers.values(), key=lambda runs: _began(runs[0])):
        # W&B tells times in whole seconds: what overlaps by less is no overlap.
        if ends and ends[0][0] <= _began(runs[0]) + timedelta(seconds=1):
            number = heappop(ends)[1]
            lanes[number] += runs
        else:
            number = len(lanes)
            lanes.append(list(runs))
        heappush(ends, (max(map(_ended, runs)), number))
    spent = sum(measure_run(run) for run in timed)
    vain = sum(measure_run(run) for run in timed if run.phase in IN_VAIN)
    present = sum((ended - _began(lanes[number][0])).total_seconds() for ended, number in ends)
    starting = min(_measure_starts(workers.values(), lanes), max(0.0, present - spent))
    elapsed = (max(ends)[0] - _began(timed[0])).total_seconds() if timed else 0.0
    return Workload(
        lanes=[Lane(_merge(lane, timedelta(seconds=elapsed / FINEST))) for lane in lanes],
        trained=spent - vain,
        in_vain=vain,
        starting=starting,
        idle=max(0.0, present - spent - starting),
    )


def _measure_starts(workers: Iterable[Sequence[RunRecord]], lanes: Iterable[Sequence[RunRecord]]) -> float:
    """Measure what lay between runs because a script takes its time until it trains, in seconds.

    The usual gap between two runs of one worker is the median of those within a stage.
    """
    usual = [
        (_began(after) - _ended(before)).total_seconds()
        for runs in workers
        for before, after in pairwise(runs)
        if before.name.stage == after.name.stage
    ]
    if not usual:
        return 0.0
    longest = max(0.0, median(usual))
    gaps = ((_began(after) - _ended(before)).total_seconds() for runs in lanes for before, after in pairwise(runs))
    return sum(min(max(gap, 0.0), longest) for gap in gaps)


def _merge(runs: Iterable[RunRecord], smallest: timedelta) -> list[Span]:
    """Join neighbours of one kind that would be drawn as one anyway."""
    spans: list[Span] = []
    for run in runs:
        began, ended = _began(run), _ended(run)
        last = spans[-1] if spans else None
        short = ended - began < 4 * smallest
        if last and short and last.phase == run.phase and began - last.ended_at < smallest:
            spans[-1] = Span(last.began_at, max(ended, last.ended_at), run.phase, [*last.runs, run])
        else:
            spans.append(Span(began, ended, run.phase, [run]))
    return spans


def _began(run: RunRecord) -> datetime:
    assert run.began_at is not None  # noqa: S101 - of timed runs only
    return run.began_at


def _ended(run: RunRecord) -> datetime:
    assert run.heartbeat_at is not None  # noqa: S101 - of timed runs only
    return max(run.heartbeat_at, _began(run))


class Expense(NamedTuple):
    """What had been spent at one moment."""

    at: datetime
    hours: float
    """Hours of training in all."""
    dollars: float | None
    """What these hours cost by the workers' rate; None on one's own machine."""


def sum_expenses(data: ReportData) -> list[Expense]:
    """Add up the training time as it was spent, run by run."""
    rate = _find_rate(data.state)
    found, seconds = [], 0.0
    for run in sorted(list_timed(data), key=_ended):
        seconds += measure_run(run)
        found.append(Expense(_ended(run), seconds / 3600, None if rate is None else seconds * rate))
    return found


def _find_rate(state: State) -> float | None:
    """Find what workers are paid, in dollars a second: those that have ended, else those that work."""
    paid = state.cost.rate if state.cost else None
    return next((worker.fee.rate for worker in state.workers if worker.fee), None) if paid is None else paid


class Bill(NamedTuple):
    """What containers had cost by the end of a stage, their start, idle time and end included."""

    at: datetime
    stage: int
    dollars: float


def list_bills(data: ReportData) -> list[Bill]:
    """List what had been paid at the end of each stage."""
    cost = data.state.cost
    if cost is None:
        return []
    paid = {stage.sweep.rpartition("/")[2]: stage.dollars for stage in cost.stages}
    bills, total = [], 0.0
    for record in data.state.stages_completed:
        total += paid.get(record.sweep_id, 0.0)
        bills.append(Bill(record.ended_at, record.stage, total))
    return bills
