"""One process for ever: its pid, which is given out again, with the time of its start."""

import psutil

CLOCK_TOLERANCE = 2.0
"""Seconds by which two readings of one process's start may differ: the boot time that they rest on is adjusted. No pid
is recycled as fast."""


def find_process(pid: int, started_at: float) -> psutil.Process | None:
    """Return the process of a pid if it is the one that started then, in Unix seconds; it may be a zombie."""
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - started_at) < CLOCK_TOLERANCE else None
    except (psutil.NoSuchProcess, ValueError, OverflowError):  # the latter two for what can be no pid
        return None


def find_living(pid: int, started_at: float) -> psutil.Process | None:
    """Return the process as `find_process` does, unless it has ended and only its parent has not looked yet."""
    process = find_process(pid, started_at)
    try:
        return process if process is not None and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None
