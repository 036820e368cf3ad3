"""When a process started, by a clock that nobody sets. Needs no package where the kernel tells it."""

import os
import sys
from pathlib import Path

UNIX_FROM = 1e9
"""A start that is later is in Unix seconds: no machine runs for thirty years."""


def read_start(pid: int) -> float:
    """Return when a process started: in seconds since the machine's own start, and in Unix seconds outside of Linux.

    Raises:
        ProcessLookupError: There is no such process.
    """
    if sys.platform != "linux":
        return _ask_psutil(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError as error:
        raise ProcessLookupError(pid) from error
    ticks = int(stat.rpartition(b")")[2].split()[19])  # `man 5 proc`; the program's name, before, may hold anything
    return ticks / os.sysconf("SC_CLK_TCK")


def _ask_psutil(pid: int) -> float:
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(pid) from error
