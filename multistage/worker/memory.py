"""Whether a training ended because its config needs more memory than its container has.

A container that passes its limit is ended whole, and nobody can tell why from outside. So a worker that has a container
for itself looks after its training: it ends one that comes too near to the limit, and it knows by the kernel's count
that a process was ended for want of memory. A training that is killed otherwise was killed by the machine.
"""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from multistage.worker.trainings import Training

FULL = 0.95
"""Share of the limit at which a training is ended."""
GIB = 2**30
FASTEST = 4 * GIB
"""Bytes a second by which a training may grow; one thread that does nothing but fill pages makes some 1 GiB."""
LOOK_INTERVALS = (0.1, 1.0)
"""Seconds between two looks, at least and at most."""
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
        self._rest_until = 0.0

    def look(self, trainings: Iterable[Training]) -> float:
        """End the trainings where the container is nearly full.

        The exact measure, for which the kernel walks through all pages, is taken only where the processes' sizes do not
        rule out the worst, and takes a tenth of the time at most.

        Returns:
            Seconds after which another look is due: the fuller the container, the sooner.
        """
        full = FULL * self._limit * GIB
        shortest, longest = LOOK_INTERVALS
        room = full - sum(measure_sizes())
        if room > 0:
            return min(max(room / FASTEST, shortest), longest)
        if time.monotonic() < self._rest_until:
            return shortest
        for training in trainings:
            began = time.monotonic()
            used = measure_memory()
            self._rest_until = time.monotonic() + 9 * (time.monotonic() - began)
            if used > full:
                self._ended[training.run_id] = used / GIB
                training.kill()
        return shortest

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
    sizes: list[int] = []
    shares: list[int | None] = []
    for process in list_processes():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            sizes.append(process.memory_info().rss)
            shares.append(read_share(process.pid))
    known = [share for share in shares if share is not None]
    return sum(known) if len(known) == len(shares) else max(sizes)


def measure_sizes() -> list[int]:
    """Measure the processes of `measure_memory`, what they share counted for each; bytes."""
    sizes = []
    for process in list_processes():
        with suppress(psutil.NoSuchProcess):
            sizes.append(process.memory_info().rss)
    return sizes


def list_processes() -> list[psutil.Process]:
    """List this process and everything below it."""
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


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
