"""Whether a service that starts gets on: on a loaded machine a start takes minutes, and nothing is wrong."""

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from multistage.services.service_processes import ProcessRecord

LOOK_EVERY = 1.0
"""Seconds between two looks at what it has done."""
FIRST_LINE, LINE_EVERY = 10.0, 15.0
"""Seconds after which a user is told what is awaited, and again."""
LONGEST = 1800.0
"""Seconds after which a start is given up however busy it is."""


def say(line: str) -> None:
    """Print what is being waited for, on the standard error: the standard output may be another program's."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class StartProgress:
    """Watches a start, and says whether it is still worth waiting for.

    Args:
        name: What starts.
        record: Its process.
        log: Its log.
        patience: Seconds without any progress (processor time, a longer log) after which it is given up.
        report: Takes a line for the user now and then.
    """

    def __init__(
        self, name: str, record: ProcessRecord, log: Path, patience: float, report: Callable[[str], None] = say
    ) -> None:
        self._name, self._record, self._log, self._patience, self._report = name, record, log, patience, report
        self._began = self._moved = self._looked = time.monotonic()
        self._told = self._began + FIRST_LINE - LINE_EVERY
        self._done = self._measure()

    def goes_on(self) -> bool:
        """Whether it has done anything of late."""
        now = time.monotonic()
        if now - self._looked >= min(LOOK_EVERY, self._patience / 4):
            done = self._measure()
            if done != self._done:
                self._done, self._moved = done, now
            self._looked = now
        if now - self._told >= LINE_EVERY:
            self._told = now
            self._report(f"Waiting for the {self._name} to start: {now - self._began:.0f} s so far.")
        return now - self._moved < self._patience and now - self._began < LONGEST

    def _measure(self) -> tuple[int, float]:
        """What it has done: bytes of its log, and seconds of the processor; a process that ends is a change, too."""
        written, worked = 0, 0.0
        with contextlib.suppress(OSError):
            written = self._log.stat().st_size
        with contextlib.suppress(psutil.Error):
            leader = psutil.Process(self._record.pid)
            for process in (leader, *leader.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    times = process.cpu_times()
                    worked += times.user + times.system
        return written, worked
