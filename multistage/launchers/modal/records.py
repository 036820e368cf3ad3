"""What the record of a container's worker says beyond that of any worker."""

from multistage.domain.model import Model
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.base import read_details

NAME = "modal"


class ModalDetails(Model):
    """A call on Modal, whichever container it has at the moment."""

    app: str
    """The deployed app."""
    call_id: str | None = None
    """Modal's; None before it is known whether the call was spawned."""


def is_on_modal(record: WorkerRecord) -> bool:
    """Whether a worker is one of this launcher's."""
    return record.launcher == NAME


def read_call(record: WorkerRecord) -> ModalDetails:
    """Read a worker's own part.

    Raises:
        LaunchError: It is damaged.
    """
    return read_details(ModalDetails, record)


def name_call(record: WorkerRecord, call_id: str) -> WorkerRecord:
    """Complete a record, now that its call is known."""
    return record.model_copy(update={"is_started": True, "details": {**record.details, "call_id": call_id}})
