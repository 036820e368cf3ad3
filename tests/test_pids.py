"""Processes are known again whatever has become of the clock, and by what earlier releases noted of them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from multistage.pids import find_living, find_process
from multistage.process_starts import read_start
from multistage.services.embedded import Announcement
from multistage.services.service_processes import ProcessRecord, find_session, is_alive
from multistage.store.sweep_folder import SweepFolder
from multistage.wandb_server.serving import write_announcement
from multistage.worker.sessions import WorkerMark, find_worker


@pytest.fixture
def process() -> Iterator[psutil.Process]:
    """A process that leads a session."""
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as started:
        yield psutil.Process(started.pid)
        started.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel notes the start in Unix seconds")
@pytest.mark.parametrize("jump", [-3600, 3600], ids=["back", "forward"])
def test_a_clock_that_jumps_makes_nobody_another(
    process: psutil.Process, jump: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_at = read_start(process.pid)
    record = ProcessRecord(pid=process.pid, process_started_at=started_at)
    write_announcement(tmp_path / "server.json", "http://127.0.0.1:1", ["127.0.0.1"])
    announcement = Announcement.model_validate(json.loads((tmp_path / "server.json").read_text()))
    folder = SweepFolder(tmp_path / "mine")
    with folder.lock():
        booted = psutil.boot_time()
        # The kernel tells starts by its own start, which it tells by the clock.
        monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + jump)
        assert abs(psutil.Process(process.pid).create_time() - booted - jump - started_at) < 1
        assert find_living(process.pid, started_at) == process
        assert is_alive(record)
        assert find_session(record) == [process]
        assert find_worker(WorkerMark("w-1", process.pid, started_at)) == process
        assert announcement.is_current()
        assert folder.find_driver() == os.getpid()


def test_a_later_process_of_a_pid_is_another(process: psutil.Process) -> None:
    started_at = read_start(process.pid)
    for earlier in (started_at - 1, process.create_time() - 3600):
        assert find_process(process.pid, earlier) is None
        assert not is_alive(ProcessRecord(pid=process.pid, process_started_at=earlier))
    process.kill()
    process.wait()
    assert find_process(process.pid, started_at) is None


def test_what_earlier_releases_noted_is_understood(process: psutil.Process) -> None:
    assert find_living(process.pid, process.create_time()) == process
    assert find_session(ProcessRecord(pid=process.pid, process_started_at=process.create_time())) == [process]


@pytest.mark.parametrize("pid", [-1, 0, 2**40])
def test_what_can_be_no_pid_is_nobody(pid: int) -> None:
    assert find_process(pid, 1.0) is None
    assert find_process(pid, 1e9 + 1) is None
