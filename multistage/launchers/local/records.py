"""What the record of a worker on this machine says beyond that of any worker."""

from multistage.domain.model import Model
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.base import read_details

NAME = "local"


class LocalDetails(Model):
    """A process of this machine."""

    pid: int
    process_started_at: float
    """Seconds since the epoch, as the kernel tells it: with the pid it names one process for ever."""
    log: str
    """Path of its log file."""
    gpus: tuple[str, ...] = ()
    """GPUs that are its own, or that it shares; empty where none are dealt out."""
    python: str | None = None
    """Path of its trainings' interpreter; None for its own."""


def is_local(record: WorkerRecord) -> bool:
    """Whether a worker is one of this launcher's."""
    return record.launcher == NAME


def read_local(record: WorkerRecord) -> LocalDetails:
    """Read a worker's own part.

    Raises:
        LaunchError: It is damaged.
    """
    return read_details(LocalDetails, record)
