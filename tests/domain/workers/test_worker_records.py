"""What identifies a worker."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from multistage.domain.workers.worker_records import Fee, WorkerEnd, WorkerRecord, name_host, read_worker_id

NOW = datetime(2026, 1, 2, tzinfo=UTC)
COMMON: dict[str, Any] = {"worker_id": "1", "sweep": "a/b/c", "launched_at": NOW}
PROCESS = {"pid": 7, "process_started_at": 1.5, "log": "/logs/1.log", "gpus": ["0"], "python": None}
FREE = WorkerRecord(launcher="local", details=PROCESS, **COMMON)
PAID = WorkerRecord(
    launcher="modal", fee=Fee(rate=0.1, seconds=60), details={"call_id": "fc-1", "app": "app-1"}, **COMMON
)


def test_a_record_is_read_back_with_its_launcher_s_own() -> None:
    for record in (FREE, PAID):
        assert WorkerRecord.model_validate_json(record.model_dump_json()) == record


def test_a_worker_is_priced_up_to_its_end_and_never_above_what_was_set_aside() -> None:
    later = NOW + timedelta(seconds=20)
    assert PAID.price(later) == pytest.approx(2.0)
    assert PAID.price(NOW + timedelta(hours=1)) == pytest.approx(6.0) == pytest.approx(PAID.fee.most if PAID.fee else 0)
    assert PAID.price(NOW - timedelta(hours=1)) == 0.0
    ended = PAID.model_copy(update={"end": WorkerEnd(fault="machine", seconds=5.0)})
    assert ended.price(later) == pytest.approx(0.5)
    assert (PAID.is_paid, ended.is_paid, FREE.is_paid) == (True, False, False)
    assert FREE.price(later) == 0.0


def test_records_of_earlier_releases_are_read() -> None:
    assert WorkerRecord.model_validate({"launcher": "local", **COMMON, **PROCESS}) == FREE
    call = {"launcher": "modal", **COMMON, "call_id": "fc-1", "app": "app-1", "seconds": 60, "rate": 0.1}
    assert WorkerRecord.model_validate({**call, "end": None}) == PAID
    intent = WorkerRecord.model_validate({**call, "call_id": None})
    assert (intent.is_started, intent.details) == (False, {"call_id": None, "app": "app-1"})


def test_a_record_of_the_first_release_says_what_was_paid() -> None:
    call = {"launcher": "modal", **COMMON, "call_id": "fc-1", "app": "app-1", "seconds": 60, "rate": 0.1}
    assert WorkerRecord.model_validate({**call, "paid": None}) == PAID
    ended = WorkerRecord.model_validate({**call, "paid": 0.5})
    assert ended.price(NOW) == pytest.approx(0.5)


def test_an_agents_host_names_its_worker_and_no_other_agents_does() -> None:
    assert read_worker_id(name_host("gpu-3 worker:odd", "a1b2-4")) == "a1b2-4"
    assert read_worker_id("gpu-3") is None
