"""What a sweep's page is told beside the sweep's state: curves, reasons, and what would be recommended now."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from multistage.domain.live.sight import Curve
from multistage.domain.live.summary import Standing
from multistage.domain.runs.results import Evaluation
from multistage.domain.runs.slots import RunRecord
from multistage.domain.runs.vigilance import Intake
from multistage.domain.sweep.state import Recommended, State
from multistage.report.banner import describe_gain
from multistage.search.finalists import Recommendation

MOST_POINTS = 120
"""Points of a curve; of more, every second goes."""
MOST_REASONS = 50
"""Failed runs whose logs are looked into."""
FEWEST = 5
"""Used slots before anything would be recommended."""
JUDGED_EVERY = 5.0
"""Seconds between two recommendations, at least."""
IDLE_SHARE = 50
"""So many times as long as the last recommendation took, none is made."""

Judge = Callable[[Sequence[Evaluation]], Recommendation | None]


class Look(NamedTuple):
    """What the driver saw at its last look, as it stays."""

    runs: Mapping[int, tuple[RunRecord, ...]] = MappingProxyType({})
    """Attempts by stage."""
    evaluations: Mapping[int, tuple[Evaluation, ...]] = MappingProxyType({})
    """Used slots by stage."""
    present: int | None = None
    exhausted: bool = False
    intake: Intake = "open"
    away: str = ""

    def list_runs(self) -> tuple[RunRecord, ...]:
        """List the attempts of all stages."""
        return tuple(run for stage in sorted(self.runs) for run in self.runs[stage])

    def list_evaluations(self) -> list[Evaluation]:
        """List the used slots of all stages."""
        return [evaluation for stage in sorted(self.evaluations) for evaluation in self.evaluations[stage]]


class PageEvidence:
    """Gathers it look by look.

    Args:
        judge: Gives what a sweep would recommend.
        explain: Says why a run failed that has not said so itself; empty where nothing is known.
    """

    def __init__(self, judge: Judge, explain: Callable[[str], str]) -> None:
        self._judge = judge
        self._explain = explain
        self._curves: dict[str, Curve] = {}
        self._reasons: dict[str, str] = {}
        self._standing: Standing | None = None
        self._judged = 0
        """Used slots at the last recommendation."""
        self._next_at = 0.0

    def follow_curves(self, runs: Sequence[RunRecord]) -> dict[str, Curve]:
        """Follow the metric of the runs in training, by what each look shows: nobody is asked for more."""
        curves: dict[str, Curve] = {}
        for run in runs:
            if run.phase != "active":
                continue
            before = self._curves.get(run.run_id, ())
            fresh = run.value is not None and (not before or before[-1][0] < run.rows)
            curve = (*before, (float(run.rows), run.value)) if fresh and run.value is not None else before
            # The last point stays, which is the newest.
            curves[run.run_id] = curve if len(curve) <= MOST_POINTS else curve[::-1][::2][::-1]
        self._curves = curves
        return curves

    def find_reasons(self, runs: Sequence[RunRecord]) -> dict[str, str]:
        """Find out why runs failed that have not said so; what is known is not looked up again."""
        silent = [run.run_id for run in runs if run.phase == "failed" and not run.error][-MOST_REASONS:]
        known = {one: self._reasons[one] for one in silent if one in self._reasons}
        self._reasons = {one: known.get(one) or self._explain(one) for one in silent}
        return self._reasons

    def judge(self, state: State, evaluations: Sequence[Evaluation]) -> Standing | None:
        """Return what the sweep recommends, or would by now; computed again when there is enough that is new."""
        if state.recommended is not None:
            return _describe(state, state.recommended)
        now = time.monotonic()
        if FEWEST <= len(evaluations) != self._judged and now >= self._next_at:
            found = self._judge(evaluations)
            self._standing = _describe(state, Recommended.model_validate(found.model_dump())) if found else None
            self._judged = len(evaluations)
            done = time.monotonic()
            self._next_at = done + max(JUDGED_EVERY, IDLE_SHARE * (done - now))
        return self._standing


def _describe(state: State, found: Recommended) -> Standing:
    told = describe_gain(state.model_copy(update={"recommended": found}))
    return Standing(
        config=found.config,
        mean=found.mean,
        interval=found.interval,
        seeds=found.seeds,
        probability=found.probability_better_than_defaults,
        verdict=found.verdict,
        told=told or "",
    )
