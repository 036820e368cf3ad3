"""What identifies a worker to any process, so that it can be watched, adopted and ended."""

from typing import Literal

from pydantic import AwareDatetime

from multistage.domain.model import Model


class WorkerRecord(Model):
    """A worker that was launched."""

    launcher: Literal["local"] = "local"
    worker_id: str
    pid: int
    process_started_at: float
    """Seconds since the epoch, as the kernel tells it: with the pid it names one process for ever."""
    sweep: str
    """``entity/project/id`` of the sweep that it works for."""
    log: str
    """Path of its log file."""
    launched_at: AwareDatetime
