"""One process for ever: its pid, which is given out again, with the time of its start.

A start is noted as `read_start` tells it, which no change of the clock moves. Earlier releases noted Unix seconds.
"""

import psutil

from multistage.process_starts import UNIX_FROM, read_start

CLOCK_TOLERANCE = 2.0
"""Seconds by which two readings of one process's start may differ in Unix seconds: the boot time that they rest on is
adjusted. No pid is recycled as fast."""
TICK = 0.05
"""The same in seconds since the machine's start, which the kernel counts in hundredths."""


def compare_start(process: psutil.Process, started_at: float) -> float:
    """Return by how many seconds a process started after a time that was noted; 0 where it is the same."""
    if started_at < UNIX_FROM:
        later, tolerance = read_start(process.pid) - started_at, TICK
    else:
        later, tolerance = process.create_time() - started_at, CLOCK_TOLERANCE
    return 0.0 if abs(later) < tolerance else later


def find_process(pid: int, started_at: float) -> psutil.Process | None:
    """Return the process of a pid if it is the one that started then; it may be a zombie.

    Args:
        pid: Its number.
        started_at: As `read_start` told it, or in Unix seconds.
    """
    try:
        process = psutil.Process(pid)
        return process if compare_start(process, started_at) == 0 else None
    # The latter two for what can be no pid.
    except (psutil.NoSuchProcess, ProcessLookupError, ValueError, OverflowError):
        return None


def find_living(pid: int, started_at: float) -> psutil.Process | None:
    """Return the process as `find_process` does, unless it has ended and only its parent has not looked yet."""
    process = find_process(pid, started_at)
    try:
        return process if process is not None and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None
