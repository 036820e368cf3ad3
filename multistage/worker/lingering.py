"""Programs that live on though their run has ended: a thread, a loader or an exit handler keeps them."""

import time
from collections.abc import Callable

from multistage.worker.closing import TOLD
from multistage.worker.descendants import list_open_runs

ASK_EVERY = 15.0
"""Seconds between two looks at a program."""
GRACE = 60.0
"""Seconds that a program may live on after its last run has ended, to save or to evaluate."""


class LingerWatch:
    """Finds programs that outlive their runs.

    While wandb-core has a run of the program's in progress, be it another than the sweep's, as in a loop over folds,
    this machine tells so, and the server is not asked.

    Args:
        read_state: Asks the server for the state of a run, by its id.
    """

    def __init__(self, read_state: Callable[[str], str]) -> None:
        self._read_state = read_state
        self._run_id = ""
        self._look_at = 0.0
        self._ended_at: float | None = None

    def is_overdue(self, run_id: str) -> bool:
        """Return whether the program of a run is to be ended; to be asked as often as one likes."""
        now = time.monotonic()
        if run_id != self._run_id:
            self._run_id, self._look_at, self._ended_at = run_id, now + ASK_EVERY, None
        if now < self._look_at:
            return False
        self._look_at = now + ASK_EVERY
        if list_open_runs(run_id) or self._read_state(run_id) not in TOLD:
            self._ended_at = None
            return False
        self._ended_at = self._ended_at or now
        self._look_at = min(self._look_at, max(now, self._ended_at + GRACE))
        return now >= self._ended_at + GRACE
