"""The machinery of a local service, with a small real server that leaves children behind."""

import errno
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from multistage import machines
from multistage.errors import ServiceError
from multistage.file_locks import is_held
from multistage.machines import is_here, name_host
from multistage.services import local_service, service_processes, start_progress
from multistage.services.local_service import LocalService, ServiceRecord, StartedService
from multistage.services.service_processes import ProcessRecord, is_alive
from multistage.services.watch import ServiceWatch

SERVER = """
import signal, subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
child.stdout.readline()
print("serving", flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def make_service(folder: Path, source: str = SERVER, patience: float = 20) -> LocalService:
    return LocalService(
        name="small server",
        folder=folder,
        build_command=lambda port: [sys.executable, "-c", source, str(port)],
        build_environment=lambda _: os.environ,
        health_path="/health",
        patience=patience,
    )


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalService]:
    monkeypatch.setattr(service_processes, "GRACE", 0.5)
    service = make_service(tmp_path / "service")
    yield service
    service.stop()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def list_children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def test_it_starts_once_and_is_found_again(service: LocalService) -> None:
    assert service.find() is None
    first = service.ensure()
    assert first.started
    assert first.note == ""
    second = service.ensure()
    assert not second.started
    assert second.record == first.record == service.find()


def test_of_many_starts_at_once_one_serves_all(service: LocalService) -> None:
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda _: make_service(service.folder).ensure(), range(8)))
    assert len({each.record.pid for each in started}) == 1
    assert sum(each.started for each in started) == 1


def test_it_outlives_who_started_it_in_a_session_of_its_own(service: LocalService) -> None:
    here = Path(__file__)
    code = (
        f"import sys; sys.path.insert(0, {str(here.parent)!r}); import {here.stem} as own; from pathlib import Path\n"
    )
    code += f"print(own.make_service(Path({str(service.folder)!r})).ensure().record.model_dump_json())"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60).stdout
    record = ServiceRecord.model_validate_json(output)
    assert service.find() == record
    assert os.getsid(record.pid) == record.pid != os.getsid(0)


def test_a_killed_one_comes_back_on_its_port_without_its_leftovers(service: LocalService) -> None:
    first = service.ensure().record
    leftovers = list_children(first.pid)
    assert leftovers
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(first))
    second = service.ensure()
    assert second.started
    assert second.record.pid != first.pid
    assert second.record.port == first.port
    assert second.note == ""
    assert not any(map(lives, leftovers))


@pytest.mark.parametrize("is_private", [True, False])
def test_what_it_makes_is_its_owners_alone_unless_it_starts_trainings(tmp_path: Path, is_private: bool) -> None:
    folder = tmp_path / "home" / "service"
    service = replace(make_service(folder, f"open('made', 'w').close()\n{SERVER}"), is_private=is_private)
    before = os.umask(0o022)
    try:
        service.ensure()
    finally:
        service.stop()
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, *folder.rglob("*"))}
    assert modes.pop("made") == (0o600 if is_private else 0o644)
    assert modes.pop("home") == modes.pop("service") == 0o700
    assert set(modes) == {"process.json", "server.log", "start.lock", "running.lock"}
    assert set(modes.values()) == {0o600}


def test_the_port_is_kept_over_a_stop(service: LocalService) -> None:
    first = service.ensure().record
    assert service.stop()
    assert service.ensure().record.port == first.port


def test_a_port_that_somebody_took_is_left_to_them_and_said(service: LocalService) -> None:
    first = service.ensure().record
    service.stop()
    with socket.create_server(("127.0.0.1", first.port)):
        second = service.ensure()
        assert second.record.port != first.port
        assert str(second.record.port) in second.note
    assert service.find() == second.record


def test_stopping_ends_every_process_below_even_stubborn_ones(service: LocalService) -> None:
    record = service.ensure().record
    family = [psutil.Process(record.pid), *list_children(record.pid)]
    assert len(family) == 2
    assert service.stop()
    assert not any(map(lives, family))
    assert service.find() is None
    assert not service.stop()


def test_stopping_ends_what_a_killed_one_left(service: LocalService) -> None:
    record = service.ensure().record
    leftovers = list_children(record.pid)
    os.kill(record.pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(record))
    assert service.stop()
    assert not any(map(lives, leftovers))


def test_a_recycled_pid_is_neither_trusted_nor_killed(service: LocalService) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    try:
        service.folder.mkdir()
        started_at = psutil.Process(bystander.pid).create_time()
        record = ServiceRecord(port=1, pid=bystander.pid, process_started_at=started_at - 3600)
        (service.folder / "process.json").write_text(record.model_dump_json())
        assert service.find() is None
        assert not service.stop()
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n", timeout=10)


def test_a_failed_start_shows_the_end_of_the_log(tmp_path: Path) -> None:
    service = make_service(tmp_path, "print('some'); raise RuntimeError('no disk left')")
    with pytest.raises(ServiceError, match=r"(?s)ended before it was ready.*no disk left") as caught:
        service.ensure()
    assert str(service.log) in caught.value.hint
    assert service.find() is None


def test_a_start_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = make_service(tmp_path, "import time; time.sleep(600)", patience=0.5)
    with pytest.raises(ServiceError, match=r"was not ready after \d+ s\. It printed nothing"):
        service.ensure()
    record = service.read_record()
    assert record is not None
    assert not is_alive(record)


BUSY = """
import time
began = time.process_time()
while time.process_time() < began + 1.5:
    pass
"""
"""A start that takes longer than one may do nothing."""


def test_a_start_that_gets_on_is_waited_for_with_a_line_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start_progress, "FIRST_LINE", 0.2)
    monkeypatch.setattr(start_progress, "LINE_EVERY", 0.2)
    monkeypatch.setattr(start_progress, "LOOK_EVERY", 0.05)
    service = make_service(tmp_path, BUSY + SERVER, patience=1.0)
    try:
        assert service.ensure().started
        assert "Waiting for the small server to start: " in capsys.readouterr().err
    finally:
        service.stop()


def test_a_busy_start_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_progress, "LONGEST", 1.0)
    service = make_service(tmp_path, "while True: pass", patience=20)
    with pytest.raises(ServiceError, match="was not ready"):
        service.ensure()
    record = service.read_record()
    assert record is not None
    assert not is_alive(record)


def test_a_damaged_record_is_named_and_kept(service: LocalService) -> None:
    service.folder.mkdir()
    path = service.folder / "process.json"
    path.write_text(json.dumps({"pid": "none"}))
    for call in (service.find, service.ensure, service.stop):
        with pytest.raises(ServiceError, match=r"process\.json cannot be read"):
            call()
    assert json.loads(path.read_text()) == {"pid": "none"}
    path.unlink()


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="cannot be used") as caught:
        make_service(tmp_path / "file" / "service").ensure()
    assert "MULTISTAGE_HOME" in caught.value.hint


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_file_locks_is_told_with_the_remedy(
    service: LocalService, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as lockless:
        lockless.setattr(fcntl, "flock", refuse)
        with pytest.raises(ServiceError, match=r"start\.lock cannot be locked: this disk has no file locks") as caught:
            service.ensure()
    assert caught.value.hint == "Let MULTISTAGE_HOME name a folder on another disk."


def refuse_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_one_that_cannot_be_noted_is_ended(service: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would find it again, and it would hold its port and its folder for ever."""
    started: list[ProcessRecord] = []

    def start(*given: Any) -> ProcessRecord:
        started.append(service_processes.start_process(*given))
        return started[-1]

    with monkeypatch.context() as full:
        full.setattr(local_service, "start_process", start)
        full.setattr(local_service, "replace_file", refuse_full)
        with pytest.raises(ServiceError, match="No space left on device") as caught:
            service.ensure()
    assert "MULTISTAGE_HOME" in caught.value.hint
    assert not is_alive(started[0])
    assert service.ensure().started


def test_a_watch_outlives_a_full_disk(
    service: LocalService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("multistage.services.watch.INTERVAL", 0.05)
    first = service.ensure().record
    ensure, tries = LocalService.ensure, [0]

    def ensure_later(one: LocalService) -> StartedService:
        tries[0] += 1
        if tries[0] < 3:
            refuse_full()
        return ensure(one)

    monkeypatch.setattr(LocalService, "ensure", ensure_later)
    with ServiceWatch(service):
        os.kill(first.pid, signal.SIGKILL)
        wait_for(lambda: (found := service.find()) is not None and found.pid != first.pid)
    assert [record.getMessage() for record in caplog.records] == [
        "The small server cannot be started again yet: [Errno 28] No space left on device"
    ]


def test_one_that_runs_on_another_machine_is_left_to_it(service: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two login nodes with one home."""
    first = service.ensure().record
    family = [psutil.Process(first.pid), *list_children(first.pid)]
    assert (name_host(first.machine), is_here(first.machine)) == (socket.gethostname(), True)
    written = (service.folder / "process.json").read_text()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(machines, "read_host", lambda: "login2")
        elsewhere.setattr(machines, "read_mark", lambda: "boot-b")
        for call in (service.find, service.ensure, service.stop):
            with pytest.raises(ServiceError) as caught:
                call()
            assert f"The small server of this folder runs on {socket.gethostname()}" in caught.value.message
            assert "MULTISTAGE_HOME" in caught.value.hint
        assert not service.has_died()
        assert all(map(lives, family))
        assert (service.folder / "process.json").read_text() == written
        for process in family:
            process.kill()
        wait_for(lambda: not is_held(service.folder / "running.lock"))
        assert service.find() is None, "the disk tells that it ended, as where its machine has died"
        assert not service.stop()
        second = service.ensure()
        assert (second.started, second.record.machine, second.record.port) == (True, "login2 boot-b", first.port)
        assert service.find() == second.record
        assert service.stop()


def test_a_machine_that_gets_another_name_keeps_its_services(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = service.ensure().record
    monkeypatch.setattr(machines, "read_host", lambda: "laptop-at-work")
    assert service.ensure().record == first
    assert service.stop()


def test_a_watched_one_that_dies_is_started_again_and_a_jumping_clock_starts_no_second(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multistage.services.watch.INTERVAL", 0.05)
    first = service.ensure().record
    with ServiceWatch(service):
        os.kill(first.pid, signal.SIGKILL)
        wait_for(lambda: (found := service.find()) is not None and found.pid != first.pid)
        second = service.find()
        assert second is not None
        assert second.port == first.port
        # After a jump of the clock by an hour, every process seems to have started at another time.
        moved = second.model_copy(update={"process_started_at": second.process_started_at - 3600})
        (service.folder / "process.json").write_text(moved.model_dump_json())
        assert not is_alive(moved)
        assert not service.has_died()
        time.sleep(0.3)
    assert service.read_record() == moved
    (service.folder / "process.json").write_text(second.model_dump_json())
