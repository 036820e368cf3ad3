"""What the record of a job's worker says beyond that of any worker."""

from multistage.domain.model import Model
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.base import read_details

NAME = "slurm"
MARK = "ms-"
"""How the names of all sweeps' arrays begin."""


class SlurmDetails(Model):
    """One task of an array of jobs."""

    array: str
    """The array's name, which no other has; with the task's number it is the worker's id."""
    log: str
    """Path of its log file."""
    job_id: str | None = None
    """Slurm's; None before it is known whether the array was submitted."""
    python: str | None = None
    """Path of its trainings' interpreter; None for its own."""


def is_on_slurm(record: WorkerRecord) -> bool:
    """Whether a worker is one of this launcher's."""
    return record.launcher == NAME


def read_job(record: WorkerRecord) -> SlurmDetails:
    """Read a worker's own part.

    Raises:
        LaunchError: It is damaged.
    """
    return read_details(SlurmDetails, record)


def name_job(record: WorkerRecord, job_id: str) -> WorkerRecord:
    """Complete a record, now that its job is known."""
    return record.model_copy(update={"is_started": True, "details": {**record.details, "job_id": job_id}})
