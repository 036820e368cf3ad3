"""Whether a training ended because its config needs more memory than its container has.

A container that passes its limit is ended whole, and nobody can tell why from outside. So a worker that has a container
for itself looks after its training: it ends one that comes too near to the limit, and it knows by the kernel's count
that a process was ended for want of memory. A training that is killed otherwise was killed by the machine.
"""

import os
import signal
from collections.abc import Iterable
from pathlib import Path

import psutil

from multistage.worker.trainings import Training

FULL = 0.95
"""Share of the limit at which a training is ended."""
GIB = 2**30
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""Exit codes of a program that was killed, and of a shell around one."""


class MemoryGuard:
    """Looks after the memory of a container's trainings.

    Args:
        limit: GiB that the container has for this worker.
        root: Of the file system; for tests.
    """

    def __init__(self, limit: float, root: Path = Path("/")) -> None:
        self._limit = limit
        self._counter = find_kill_counter(root)
        self._kills = self._count_kills()
        self._ended: dict[str, float] = {}
        """GiB that were in use when a training was ended, by run id."""

    def look(self, trainings: Iterable[Training]) -> None:
        """End the trainings where the container is nearly full."""
        for training in trainings:
            used = measure_memory() / GIB
            if used > FULL * self._limit:
                self._ended[training.run_id] = used
                training.kill()

    def explain(self, run_id: str, code: int) -> str:
        """Say that a training ran out of memory; empty where it did not.

        Args:
            run_id: The run.
            code: The training's exit code.
        """
        kills, before = self._count_kills(), self._kills
        self._kills = kills
        used = self._ended.pop(run_id, None)
        if used is not None:
            return f"Out of memory: {used:.2f} of {self._limit:g} GiB were in use."
        if code in KILLED and kills > before:
            return f"Out of memory: the kernel ended it within {self._limit:g} GiB."
        return ""

    def _count_kills(self) -> int:
        """Count the processes of this container that the kernel has ended for want of memory."""
        if self._counter is None:
            return 0
        for line in self._counter.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
        return 0


def measure_memory() -> int:
    """Measure this process and everything below it; bytes, what processes share counted once.

    Where the kernel does not tell shares, only the largest process counts, so that no training is ended for nothing.
    """
    shares, largest = 0, 0
    exact = True
    for process in (own := psutil.Process(), *own.children(recursive=True)):
        try:
            largest = max(largest, process.memory_info().rss)
            share = read_share(process.pid)
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
        exact = exact and share is not None
        shares += share or 0
    return shares if exact else largest


def read_share(pid: int, root: Path = Path("/proc")) -> int | None:
    """Read a process's proportional share of memory, in bytes; None where the kernel does not tell."""
    try:
        for line in (root / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, PermissionError):
        return None
    return None


def find_kill_counter(root: Path = Path("/")) -> Path | None:
    """Find the file in which the kernel counts its kills in this process's group (``man 7 cgroups``, both versions)."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            base, name = root / "sys/fs/cgroup/memory", "memory.oom_control"
        elif controllers == "":
            base, name = root / "sys/fs/cgroup", "memory.events"
        else:
            continue
        # Within a container the group may be mounted as the root, whatever its path is outside.
        for place in (base / path.lstrip("/"), base):
            if os.access(place / name, os.R_OK):
                return place / name
    return None
