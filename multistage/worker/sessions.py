"""Finding and ending the processes of a worker, from any process of its machine; imports next to nothing.

A worker leads a session of its own, in which its trainings stay though each has a process group of its own. Everything
that it executes inherits ``MULTISTAGE_WORKER``. Either mark outlives the worker, so its orphans are found too.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import psutil

from multistage.pids import find_living
from multistage.worker.conventions import WORKER_VARIABLE

WANDB_CORE = "wandb-core"


class WorkerMark(NamedTuple):
    """What a worker is found by."""

    worker_id: str
    pid: int | None = None
    """None before it is known whether the worker was started."""
    started_at: float = 0.0
    """When its process was, in Unix seconds."""


def find_worker(mark: WorkerMark) -> psutil.Process | None:
    """The worker's process, if it is known and lives."""
    return None if mark.pid is None else find_living(mark.pid, mark.started_at)


def find_processes(marks: Sequence[WorkerMark]) -> list[psutil.Process]:
    """Every living process of these workers: themselves, their trainings, whatever those have started."""
    found = {process.pid: process for mark in marks if (process := find_worker(mark))}
    for process in list(found.values()):
        found |= {child.pid: child for child in _list_descendants(process)}
    ids = {mark.worker_id for mark in marks}
    sessions = {mark.pid: mark.worker_id for mark in marks if mark.pid is not None}
    for process, carried in list_marked():
        session_owner = sessions.get(_find_session(process.pid), "")
        if carried in ids or (carried and session_owner.startswith(f"{carried}-")):
            found[process.pid] = process
    return list(found.values())


def _list_descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def list_marked() -> Iterator[tuple[psutil.Process, str]]:
    """List living processes that carry a worker's mark, with it; others' are unreadable, and none of ours."""
    for process in psutil.process_iter():
        try:
            carried = process.environ().get(WORKER_VARIABLE)
            if carried is not None and process.status() != psutil.STATUS_ZOMBIE:
                yield process, carried
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue


def _find_session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def end_processes(marks: Sequence[WorkerMark], patience: float, kill_patience: float) -> list[psutil.Process]:
    """End workers and all that is theirs: SIGTERM, then SIGKILL.

    A living worker is asked alone, because it ends its training in order; orphans are asked themselves. Never asked is
    wandb-core, which must send a training's last rows, and ends by itself.

    Args:
        marks: The workers'.
        patience: Seconds from SIGTERM to SIGKILL.
        kill_patience: Seconds to wait after SIGKILL.

    Returns:
        Those that are still there.
    """
    processes = find_processes(marks)
    workers = [process for mark in marks if (process := find_worker(mark))]
    below = {child.pid for worker in workers for child in _list_descendants(worker)}
    for process in processes:
        if process.pid not in below:
            with suppress(psutil.NoSuchProcess):
                if process.name() != WANDB_CORE:
                    process.terminate()
    wait_for_end(processes, patience)
    # Searched again: for what was started meanwhile, and what a worker has left.
    processes = list({*processes, *find_processes(marks)})
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return wait_for_end(processes, kill_patience)


def is_running(process: psutil.Process) -> bool:
    """Return whether a process lives; a zombie does not: its parent may never look."""
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def wait_for_end(processes: Sequence[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait until all have ended; gives those that have not."""
    deadline = time.monotonic() + timeout
    while (left := [one for one in processes if is_running(one)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left
