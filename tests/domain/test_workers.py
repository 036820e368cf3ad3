"""What identifies a worker."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from multistage.domain.workers import LocalWorker, ModalWorker, WorkerEnd, WorkerRecord, name_host, read_worker_id

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LOCAL = LocalWorker(worker_id="1", pid=7, process_started_at=1.5, sweep="a/b/c", log="/logs/1.log", launched_at=NOW)
MODAL = ModalWorker.model_validate(
    {
        "worker_id": "2",
        "call_id": "fc-1",
        "app": "app-1",
        "sweep": "a/b/c",
        "seconds": 60,
        "rate": 0.1,
        "launched_at": NOW,
    }
)


def test_a_record_is_read_back_as_the_launcher_s_own() -> None:
    adapter: TypeAdapter[WorkerRecord] = TypeAdapter(WorkerRecord)
    for record in (LOCAL, MODAL):
        assert adapter.validate_json(adapter.dump_json(record)) == record


def test_a_container_s_log_is_read_with_modal_s_own_command() -> None:
    assert MODAL.log == "shown by `modal app logs app-1`"


def test_a_container_is_priced_up_to_its_end_and_never_above_what_was_set_aside() -> None:
    later = NOW + timedelta(seconds=20)
    assert MODAL.price(later) == pytest.approx(2.0)
    assert MODAL.price(NOW + timedelta(hours=1)) == pytest.approx(6.0)
    assert MODAL.price(NOW - timedelta(hours=1)) == 0.0
    ended = MODAL.model_copy(update={"end": WorkerEnd(fault="machine", seconds=5.0)})
    assert ended.price(later) == pytest.approx(0.5)


def test_a_record_of_the_first_release_is_read() -> None:
    earlier = MODAL.model_dump(exclude={"end"})
    assert ModalWorker.model_validate({**earlier, "paid": None}) == MODAL
    ended = ModalWorker.model_validate({**earlier, "paid": 0.5})
    assert ended.price(NOW) == pytest.approx(0.5)


def test_an_agents_host_names_its_worker_and_no_other_agents_does() -> None:
    assert read_worker_id(name_host("gpu-3 worker:odd", "a1b2-4")) == "a1b2-4"
    assert read_worker_id("gpu-3") is None
