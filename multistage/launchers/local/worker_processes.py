"""Finding and ending the processes of workers on this machine by their records."""

from collections.abc import Sequence

import psutil

from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.local.records import read_local
from multistage.worker import sessions
from multistage.worker.sessions import WorkerMark


def find_worker(record: WorkerRecord) -> psutil.Process | None:
    """The worker's process, if it lives."""
    return sessions.find_worker(_mark(record))


def find_processes(records: Sequence[WorkerRecord]) -> list[psutil.Process]:
    """Every living process of these workers: themselves, their trainings, whatever those have started."""
    return sessions.find_processes([_mark(record) for record in records])


def end_processes(records: Sequence[WorkerRecord], patience: float, kill_patience: float) -> list[psutil.Process]:
    """End workers and all that is theirs, as `sessions.end_processes` does; gives those that are still there."""
    return sessions.end_processes([_mark(record) for record in records], patience, kill_patience)


def _mark(record: WorkerRecord) -> WorkerMark:
    own = read_local(record)
    return WorkerMark(record.worker_id, own.pid, own.process_started_at)
