"""What identifies a worker to any process, so that it can be watched, adopted and ended."""

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, Field, JsonValue, model_validator

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


class Fee(Model):
    """What a worker is paid."""

    rate: float
    """Dollars a second."""
    seconds: float
    """Longest time that it may be paid for."""

    @property
    def most(self) -> float:
        """Dollars that the worker may cost."""
        return self.rate * self.seconds


class WorkerRecord(Model):
    """A worker that was launched, or is about to be: what any process needs to watch, adopt and end it."""

    launcher: str
    """Name of its launcher, which alone can read the details."""
    worker_id: str
    """Known to the worker, too."""
    sweep: str
    """``entity/project/id`` of the sweep that it works for."""
    launched_at: AwareDatetime
    is_started: bool = True
    """Whether it is known to have been started; noted without that, it may have been, and its launcher finds out."""
    fee: Fee | None = None
    """None for one that costs nothing."""
    end: WorkerEnd | None = None
    """How one that is paid ended; None while it works, as far as is known."""
    details: dict[str, JsonValue] = Field(default_factory=dict)
    """Its launcher's own, such as a process id."""

    @model_validator(mode="before")
    @classmethod
    def _read_earlier(cls, raw: Any) -> Any:
        """Read a record of earlier releases, in which a launcher's own and what a worker was paid stood apart."""
        if not isinstance(raw, dict) or "details" in raw:
            return raw
        own = {key: value for key, value in raw.items() if key not in cls.model_fields}
        record = {key: value for key, value in raw.items() if key in cls.model_fields}
        if "rate" in own:
            rate, paid = own.pop("rate"), own.pop("paid", None)
            fee = {"rate": rate, "seconds": own.pop("seconds", None)}
            record |= {"fee": fee, "is_started": own.get("call_id") is not None}
            if paid is not None:
                record["end"] = {"fault": "none", "seconds": paid / rate}
        return {**record, "details": own}

    def price(self, now: datetime) -> float:
        """Price it up to now, or up to its end; dollars, and never more than was set aside for it."""
        if self.fee is None:
            return 0.0
        elapsed = self.end.seconds if self.end else (now - self.launched_at).total_seconds()
        return self.fee.rate * min(self.fee.seconds, max(0.0, elapsed))

    @property
    def is_paid(self) -> bool:
        """Whether it costs money now, as far as is known."""
        return self.fee is not None and self.end is None


def name_host(host: str, worker_id: str) -> str:
    """Name a worker as an agent's host: the server then knows which runs it was given, whatever their scripts do."""
    return f"{host}{_MARK}{worker_id}"


def read_worker_id(host: str) -> str | None:
    """Read a worker's id out of an agent's host; None where the agent is no worker of this project."""
    _, mark, worker_id = host.rpartition(_MARK)
    return worker_id if mark else None
