"""What is logged of a stage while it runs: a better value, a run that failed, a run that the machine lost."""

import logging
import math

from multistage.domain.runs.slots import Slots
from multistage.domain.sweep.state import StageProgress, State
from multistage.report.story import describe_failure, describe_loss, describe_new_best, describe_stage_start

logger = logging.getLogger(__name__)


class StageLog:
    """Logs what is new of a stage at each look; what an earlier process has told is not told again.

    Args:
        state: The sweep's when this process takes the stage up.
        now: Where the stage stands then.
    """

    def __init__(self, state: State, now: StageProgress) -> None:
        self._maximizes = state.goal == "maximize"
        known = [one for one in (state.best_metric, now.best_metric) if one is not None]
        self._best = (max if self._maximizes else min)(known, default=None)
        self._known = now
        self._failed: set[int] = set()
        self._lost: set[str] = set()
        self._has_looked = False
        if now.used:
            logger.info("%s", describe_stage_start(state, now))

    def note(self, state: State, slots: Slots) -> None:
        """Log what has changed since the last look.

        Args:
            state: The sweep's as it is now.
            slots: The stage's.
        """
        failed = [slots[index].decisive for index in sorted(slots.failed - self._failed)]
        lost = [
            (slots[index], run)
            for index in slots.lost
            for run in slots[index].attempts
            if run.phase == "lost" and not run.fault and run.run_id not in self._lost
        ]
        self._failed |= slots.failed
        self._lost |= {run.run_id for _, run in lost}
        is_first, self._has_looked = not self._has_looked, True
        if not is_first or len(lost) > self._known.attempts_lost:
            for slot, run in lost:
                logger.warning("%s", describe_loss(slot, run))
        if not is_first or len(failed) > self._known.failed:
            for run in failed:
                logger.info("%s", describe_failure(run))
        self._note_best(state, slots)

    def _note_best(self, state: State, slots: Slots) -> None:
        valued = [
            (value, index) for index, value in slots.finished.items() if value is not None and math.isfinite(value)
        ]
        value, index = (max if self._maximizes else min)(valued, default=(None, 0))
        if value is not None and self._is_better(value):
            self._best = value
            logger.info("%s", describe_new_best(state, value, slots[index].decisive))

    def _is_better(self, value: float) -> bool:
        return self._best is None or (value > self._best if self._maximizes else value < self._best)
