"""What the local launcher and its fork server say to each other, one JSON line each."""

from pathlib import Path

from pydantic import Field

from multistage.domain.model import Model


class WorkerOrder(Model):
    """A worker to be started."""

    worker_id: str
    sweep: str
    idle: float
    log: Path
    environment: dict[str, str] = Field(default_factory=dict)
    """Variables that this worker alone has."""


class WorkerBirth(Model):
    """A worker that was started."""

    pid: int
    process_started_at: float
