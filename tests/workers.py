"""Records of workers, as their launchers write them."""

from datetime import UTC, datetime
from typing import Any

from multistage.domain.workers.worker_records import Fee, WorkerRecord

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def make_local(worker_id: str, pid: int, process_started_at: float, **changes: Any) -> WorkerRecord:
    """A process of this machine; changes are of its record, or of its details."""
    details = {"pid": pid, "process_started_at": process_started_at, "log": "/logs/1.log"}
    return _make("local", worker_id, details, None, changes)


def make_container(worker_id: str, call_id: str | None, fee: Fee, **changes: Any) -> WorkerRecord:
    """A container on Modal; one without a call may not have been started."""
    details = {"app": "app-1", "call_id": call_id}
    return _make("modal", worker_id, details, fee, {"is_started": call_id is not None, **changes})


def _make(launcher: str, worker_id: str, details: dict[str, Any], fee: Fee | None, changes: Any) -> WorkerRecord:
    common = {"launcher": launcher, "worker_id": worker_id, "sweep": "me/work/abc", "launched_at": NOON, "fee": fee}
    own = {key: changes.pop(key) for key in list(changes) if key not in WorkerRecord.model_fields}
    return WorkerRecord.model_validate({**common, **changes, "details": details | own})
