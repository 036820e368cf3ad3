"""What identifies a worker to any process, so that it can be watched, adopted and ended."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, model_validator

from multistage.domain.model import Model

_MARK = " worker:"
"""Between host and worker in the name under which a worker's agent is registered with the server."""

Fault = Literal["none", "config", "machine", "setup"]
"""Nobody's; the training's or its config's; the machine's, so that another worker may do better; or of what all workers
share (a secret, the image, the code), so that no other would do better."""


class WorkerEnd(Model):
    """How a worker ended."""

    fault: Fault
    reason: str = ""
    seconds: float = 0.0
    """Time that is paid for."""


class LocalWorker(Model):
    """A process of this machine."""

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
    gpus: tuple[str, ...] = ()
    """GPUs that are its own, or that it shares; empty where none are dealt out."""
    python: str | None = None
    """Path of its trainings' interpreter; None for its own."""


class ModalWorker(Model):
    """A call on Modal, whichever container it has at the moment."""

    launcher: Literal["modal"] = "modal"
    worker_id: str
    """Known to the container too, which notes its call under it."""
    call_id: str | None = None
    """Modal's; None before it is known whether the call was spawned."""
    app: str
    """The deployed app."""
    sweep: str
    """``entity/project/id`` of the sweep that it works for."""
    seconds: float
    """Longest time that it may be paid for."""
    rate: float
    """Dollars a second."""
    launched_at: AwareDatetime
    end: WorkerEnd | None = None
    """How it ended; None while it lives, as far as is known."""

    @model_validator(mode="before")
    @classmethod
    def _read_paid(cls, raw: Any) -> Any:
        """Read a record of 0.1.0, which held what an ended worker had cost."""
        if not isinstance(raw, dict) or "paid" not in raw:
            return raw
        paid, rest = raw["paid"], {key: value for key, value in raw.items() if key != "paid"}
        return rest if paid is None else {**rest, "end": {"fault": "none", "seconds": paid / raw["rate"]}}

    def price(self, now: datetime) -> float:
        """Price it up to now, or up to its end; dollars, and never more than was set aside for it."""
        elapsed = self.end.seconds if self.end else (now - self.launched_at).total_seconds()
        return self.rate * min(self.seconds, max(0.0, elapsed))

    @property
    def log(self) -> str:
        """How its log is read."""
        return f"shown by `modal app logs {self.app}`"


WorkerRecord = Annotated[LocalWorker | ModalWorker, Field(discriminator="launcher")]
"""A worker that was launched."""


def name_host(host: str, worker_id: str) -> str:
    """Name a worker as an agent's host: the server then knows which runs it was given, whatever their scripts do."""
    return f"{host}{_MARK}{worker_id}"


def read_worker_id(host: str) -> str | None:
    """Read a worker's id out of an agent's host; None where the agent is no worker of this project."""
    _, mark, worker_id = host.rpartition(_MARK)
    return worker_id if mark else None
