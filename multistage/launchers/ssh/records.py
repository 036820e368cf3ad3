"""What the record of a worker on another host says beyond that of any worker."""

from multistage.domain.model import Model
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.base import read_details

NAME = "ssh"


class SshDetails(Model):
    """A process of a host."""

    host: str
    """As ssh takes it."""
    seat: int
    """Which of the host's workers it is, from 0."""
    host_python: str
    """Path of the Python there in which this package is."""
    folder: str
    """The sweep's folder of logs there."""
    is_shared: bool
    """Whether that folder is the one on this machine."""
    port: int | None = None
    """On the host's 127.0.0.1, where the way back begins; None where none is needed."""
    pid: int | None = None
    """None before it is known whether it was started."""
    process_started_at: float = 0.0
    """Unix seconds by the host's clock; with the pid it names one process for ever."""
    python: str | None = None
    """Path of its trainings' interpreter; None for its own."""

    @property
    def place(self) -> "HostPlace":
        """Where it is."""
        return HostPlace(host=self.host, python=self.host_python, folder=self.folder, is_shared=self.is_shared)


class HostPlace(Model):
    """A sweep's place on a host."""

    host: str
    python: str
    folder: str
    is_shared: bool


def is_on_host(record: WorkerRecord) -> bool:
    """Whether a worker is one of this launcher's."""
    return record.launcher == NAME


def read_details_of(record: WorkerRecord) -> SshDetails:
    """Read a worker's own part.

    Raises:
        LaunchError: It is damaged.
    """
    return read_details(SshDetails, record)


def name_process(record: WorkerRecord, pid: int, started_at: float) -> WorkerRecord:
    """Complete a record, now that its process is known."""
    own = {"pid": pid, "process_started_at": started_at}
    return record.model_copy(update={"is_started": True, "details": {**record.details, **own}})
