"""A launcher behind the driver's `Fleet`: as many workers as there is work for, and no endless deaths."""

import logging
import time
from collections.abc import Callable

from multistage.domain.runs.slots import RunRecord
from multistage.driver.roster import Roster
from multistage.errors import LaunchError, StandstillError

LAUNCHES_WITHOUT_PROGRESS = 3
"""So many times workers may be started without any run moving before the stage is given up."""
SILENCE = 180.0
"""Seconds in which a server notices that a run's worker was lost before its program began: until then that run waits,
and nobody gets it."""
REFUSED_PAUSE = 60.0
"""Seconds after which a worker that could not be started beside others is asked for again."""

logger = logging.getLogger(__name__)


class WorkerFleet:
    """The workers of one stage's sweep.

    Args:
        roster: Starts them and keeps their records.
        sweep: ``entity/project/id``.
    """

    def __init__(self, roster: Roster, sweep: str) -> None:
        self._roster = roster
        self._sweep = sweep
        self._launches = 0
        self._launched_at = 0.0
        """When the first of these was."""
        self.exhausted = False
        """Whether nobody works any more and nobody else can be paid."""
        self._refused_at: float | None = None
        """When a worker was last refused while others worked."""
        self._refusal = ""
        self.present: int | None = None
        """Workers that were there at the last look."""

    def adjust(self, waiting: int, training: int, progressed: bool, confirm: Callable[[], bool] = lambda: True) -> None:
        """Start workers where some are missing for the runs that wait.

        A run whose worker is gone counts as training until the server has noticed, and nobody could take it before.

        Args:
            waiting: Runs that wait for a worker.
            training: Runs that have one.
            progressed: Whether any run has moved since the last call.
            confirm: Tells whether those runs do wait; asked before anybody is started.

        Raises:
            LaunchError: If they cannot be started, and nobody works who could go on meanwhile.
            StandstillError: If they were started again and again and no run moved.
        """
        if progressed or not waiting:
            self._launches = 0
        alive = self._roster.list_alive(self._sweep)
        self.present = len(alive)
        missing = min(min(self._roster.most, waiting + training) - len(alive), waiting)
        if missing <= 0 or not confirm():
            return
        if self._launches >= LAUNCHES_WITHOUT_PROGRESS:
            if self._have_idled():
                return
            raise StandstillError(
                f"The workers of sweep {self._sweep} ended {self._launches} times without progress in any run. "
                f"The last one said: {self._roster.quote_last(self._sweep) or 'nothing'}",
                self._roster.name_log(self._sweep),
            )
        if alive and self._refused_at is not None and time.monotonic() - self._refused_at < REFUSED_PAUSE:
            return
        try:
            began = time.monotonic()
            if self._roster.launch(self._sweep, missing):
                self._launched_at = self._launched_at if self._launches else began
                self._launches += 1
            elif not alive:
                self.exhausted = self._roster.has_reached_cap()
        except LaunchError as error:
            if not alive:
                raise
            self._bear(error)

    def _have_idled(self) -> bool:
        """Whether workers left for want of a run, rather than died, and the one that waits may yet be handed out."""
        seconds = time.monotonic() - self._launched_at
        return self._launches * self._roster.idle <= seconds < SILENCE

    def _bear(self, error: LaunchError) -> None:
        """Make do with fewer workers; people are told once of each reason."""
        self._refused_at = time.monotonic()
        if error.message != self._refusal:
            self._refusal = error.message
            logger.warning("%s Those that work go on; more are asked for every %g s.", error.message, REFUSED_PAUSE)

    def retire(self, worker_id: str) -> None:
        """End one worker; the next look starts another."""
        self._roster.launcher.stop([worker for worker in self._roster.workers if worker.worker_id == worker_id])

    def explain_failure(self, run: RunRecord) -> str:
        """Say why a run failed, by what it printed last."""
        return self._roster.explain_failure(run.run_id)
