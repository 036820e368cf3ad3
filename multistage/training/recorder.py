"""What a training tells the tracker, and what it is told: its rows, its summary, the request to stop."""

import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from multistage.domain.runs.results import Value

if TYPE_CHECKING:
    import wandb

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""SIGTERM comes from the agent; SIGINT from a terminal, and from wandb itself when the server stops a run."""


class Recorder:
    """The tracker, as a trainer sees it.

    Args:
        run: The run that the rows go to.
        clock: The history key that counts progress; the charts' x axis.

    Attributes:
        stopped_by: The signal that asked the training to end early; None as long as none came. Trainers
            look at it every step, and return when it is set.
    """

    def __init__(self, run: "wandb.Run", clock: str) -> None:
        self._run = run
        self._clock = clock
        self.stopped_by: signal.Signals | None = None
        run.define_metric(clock, hidden=True)
        run.define_metric("*", step_metric=clock)

    def log(self, progress: int, row: Mapping[str, float]) -> None:
        """Log one row.

        Args:
            progress: The clock's reading.
            row: Values by key. What is not finite is left out: a gap is honest, a NaN or 0 instead is not.
        """
        finite = {key: value for key, value in row.items() if math.isfinite(value)}
        if finite:
            self._run.log({self._clock: progress, **finite})

    def note(self, key: str, value: Value) -> None:
        """Write one entry of the run's summary."""
        self._run.summary[key] = value

    @contextmanager
    def time_training(self) -> Iterator[None]:
        """Note when the first step begins and the last one ends (``time/first_step``, ``time/last_step``).

        Both are seconds since the epoch; what lies between two runs of a worker is overhead.
        """
        self.note("time/first_step", time.time())
        try:
            yield
        finally:
            self.note("time/last_step", time.time())

    @contextmanager
    def catch_signals(self) -> Iterator[None]:
        """Note a request to stop instead of dying of it, so that rows on their way still arrive."""

        def note_signal(number: int, _frame: FrameType | None) -> None:
            self.stopped_by = signal.Signals(number)

        previous = {number: signal.signal(number, note_signal) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
