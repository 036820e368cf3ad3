"""What goes wrong while runs train: sweeps that are paused, runs that stall, workers on which everything fails."""

from collections.abc import Mapping
from typing import Literal

from multistage.domain.runs.slots import RunRecord, Slot

SHORTEST_STALL = 1800.0
"""Seconds that a run may log nothing before it can count as stalled, where no limit was given."""
STALL_FACTOR = 3.0
"""Where no limit was given, so many times the longest run that has ended."""
QUICK = 60.0
"""Seconds within which a failure is quick."""
FAILURES_IN_A_ROW = 3

Intake = Literal["open", "paused", "ended"]
"""Whether a sweep hands out runs, does not for now, or never will again."""


class StallWatch:
    """Finds runs that log nothing for too long.

    Args:
        after: Seconds without a new row; None: three times the longest run so far, at least half an hour, and never
            before a run has ended.
    """

    def __init__(self, after: float | None) -> None:
        self._after = after
        self._began: dict[str, float] = {}
        self._moved: dict[str, tuple[int, float]] = {}
        self._longest = 0.0

    def find_stalled(self, runs: Mapping[str, RunRecord], live: Mapping[str, RunRecord], now: float) -> list[RunRecord]:
        """Look at the runs of a stage that are being trained, and at those that were so at the last look.

        Args:
            runs: All of them by id, as the tracker holds them.
            live: Those among them that are queued or being trained.
            now: Seconds of a clock that never jumps.
        """
        for run_id in [run_id for run_id in self._began if run_id not in live or live[run_id].phase != "active"]:
            began = self._began.pop(run_id)
            self._moved.pop(run_id, None)
            if run_id in runs and runs[run_id].phase == "finished":
                self._longest = max(self._longest, now - began)
        stalled = []
        limit = self._find_limit()
        for run in live.values():
            if run.phase != "active":
                continue
            self._began.setdefault(run.run_id, now)
            rows, since = self._moved.get(run.run_id, (-1, now))
            if run.rows != rows:
                self._moved[run.run_id] = run.rows, now
            elif limit is not None and now - since > limit:
                stalled.append(run)
                self._moved[run.run_id] = rows, now
        return stalled

    def _find_limit(self) -> float | None:
        if self._after is not None:
            return self._after
        return max(SHORTEST_STALL, STALL_FACTOR * self._longest) if self._longest else None


def find_bad_worker(slots: Mapping[int, Slot], workers: Mapping[str, str]) -> str | None:
    """Find a worker whose last three runs failed quickly, while nothing failed on any other and something finished.

    Args:
        slots: The stage's slots.
        workers: Which worker has trained which run, by the run's id.

    Returns:
        The worker's id; None where there is no such worker.
    """
    by_worker: dict[str, list[RunRecord]] = {}
    for slot in slots.values():
        for run in slot.attempts:
            worker = workers.get(run.run_id)
            if worker is not None and run.phase in ("finished", "failed"):
                by_worker.setdefault(worker, []).append(run)
    failing = [worker for worker, runs in by_worker.items() if any(run.phase == "failed" for run in runs)]
    if len(failing) != 1 or len(by_worker) < 2:
        return None
    runs = sorted(by_worker[failing[0]], key=lambda run: (run.heartbeat_at is not None, run.heartbeat_at))
    last = runs[-FAILURES_IN_A_ROW:]
    quick = all(run.phase == "failed" and (run.runtime or 0.0) < QUICK for run in last)
    return failing[0] if quick and len(last) == FAILURES_IN_A_ROW else None
