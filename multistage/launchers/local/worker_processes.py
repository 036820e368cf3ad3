"""Finding and ending the processes of a worker, from any process, by its record alone.

A worker leads a session of its own, in which its trainings stay though each has a process group of its own. Everything
that it executes inherits ``MULTISTAGE_WORKER``. Either mark outlives the worker, so its orphans are found too.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

import psutil

from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.local.records import read_local
from multistage.pids import find_living
from multistage.worker.conventions import WORKER_VARIABLE
from multistage.worker.descendants import WANDB_CORE, wait_for_end


def find_worker(record: WorkerRecord) -> psutil.Process | None:
    """The worker's process, if it lives."""
    own = read_local(record)
    return find_living(own.pid, own.process_started_at)


def find_processes(records: Sequence[WorkerRecord]) -> list[psutil.Process]:
    """Every living process of these workers: themselves, their trainings, whatever those have started."""
    found = {process.pid: process for record in records if (process := find_worker(record))}
    for process in list(found.values()):
        found |= {child.pid: child for child in _list_descendants(process)}
    ids = {record.worker_id for record in records}
    sessions = {read_local(record).pid: record.worker_id for record in records}
    for process, mark in _list_marked():
        session_owner = sessions.get(_find_session(process.pid), "")
        if mark in ids or (mark and session_owner.startswith(f"{mark}-")):
            found[process.pid] = process
    return list(found.values())


def _list_descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _list_marked() -> Iterator[tuple[psutil.Process, str]]:
    """Living processes that carry the mark; others' are unreadable, and none of ours."""
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(WORKER_VARIABLE)
            if mark is not None and process.status() != psutil.STATUS_ZOMBIE:
                yield process, mark
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue


def _find_session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def end_processes(records: Sequence[WorkerRecord], patience: float, kill_patience: float) -> list[psutil.Process]:
    """End workers and all that is theirs: SIGTERM, then SIGKILL.

    A living worker is asked alone, because it ends its training in order; orphans are asked themselves. Never asked is
    wandb-core, which must send a training's last rows, and ends by itself.

    Args:
        records: The workers.
        patience: Seconds from SIGTERM to SIGKILL.
        kill_patience: Seconds to wait after SIGKILL.

    Returns:
        Those that are still there.
    """
    processes = find_processes(records)
    workers = [process for record in records if (process := find_worker(record))]
    below = {child.pid for worker in workers for child in _list_descendants(worker)}
    for process in processes:
        if process.pid not in below:
            with suppress(psutil.NoSuchProcess):
                if process.name() != WANDB_CORE:
                    process.terminate()
    wait_for_end(processes, patience)
    # Searched again: for what was started meanwhile, and what a worker has left.
    processes = list({*processes, *find_processes(records)})
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return wait_for_end(processes, kill_patience)
