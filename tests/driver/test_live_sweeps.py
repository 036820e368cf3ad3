"""One sweep's trouble is its own: whatever became of a sweep's folder, it is known, and can be ended."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from multistage import machines
from multistage.cli import main
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.driver.live_sweeps import end_sweep, list_live_sweeps
from multistage.launchers.local.records import read_local
from multistage.settings import Settings
from multistage.store.journal import Journal
from multistage.store.live_records import forget_sweep, list_records, locate_record, register_sweep
from multistage.store.sweep_folder import SweepFolder, survey_sweeps
from tests.queued_sweeps import is_running
from tests.states import make_state
from tests.workers import make_local

Damage = Callable[[SweepFolder], object]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MULTISTAGE_HOME", str(tmp_path / "home"))
    return Settings()


@pytest.fixture
def start_worker() -> Iterator[Callable[[str], WorkerRecord]]:
    """Processes that carry a worker's marks."""
    started: list[subprocess.Popen[bytes]] = []

    def start(worker_id: str) -> WorkerRecord:
        process = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"],
            env={**os.environ, "MULTISTAGE_WORKER": worker_id},
            start_new_session=True,
        )
        started.append(process)
        return make_local(worker_id, process.pid, psutil.Process(process.pid).create_time(), log="")

    yield start
    for process in started:
        process.kill()
        process.wait()


def run_main(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert isinstance(left.value.code, int)
    return left.value.code


def leave_sweep(settings: Settings, path: Path, worker: WorkerRecord) -> SweepFolder:
    """A sweep whose driver has died, and whose worker has not."""
    folder = SweepFolder(path)
    folder.write_state(make_state())
    register_sweep(settings, folder)
    record = locate_record(settings, folder.path)
    noted = json.loads(record.read_text())
    noted["driver"]["process_started_at"] -= 60  # another process, which had this one's id
    record.write_text(json.dumps(noted))
    Journal(folder).update(workers=(worker,))
    return folder


def make_newer(folder: SweepFolder) -> None:
    written = json.loads(folder.state_file.read_text())
    folder.state_file.write_text(json.dumps(written | {"schema_version": 99}))


def replace_by_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def delete(folder: SweepFolder) -> None:
    for path in (folder.state_file, folder.path / ".lock"):
        path.unlink(missing_ok=True)
    folder.path.rmdir()


DAMAGES: dict[str, Damage] = {
    "truncated": lambda folder: os.truncate(folder.state_file, 200),
    "empty": lambda folder: os.truncate(folder.state_file, 0),
    "edited": lambda folder: folder.state_file.write_text(folder.state_file.read_text().replace('"workers"', '"w"')),
    "no text": lambda folder: folder.state_file.write_bytes(b"\xff\xfe\x00"),
    "nested too deeply": lambda folder: folder.state_file.write_text('{"workers": ' + "[" * 100_000),
    "newer": make_newer,
    "no file": lambda folder: replace_by_folder(folder.state_file),
    "moved": lambda folder: folder.path.rename(folder.path.with_name("elsewhere")),
    "deleted": delete,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_sweep_is_ended_with_the_others(
    settings: Settings,
    tmp_path: Path,
    start_worker: Callable[[str], WorkerRecord],
    capsys: pytest.CaptureFixture[str],
    damage: Damage,
) -> None:
    workers = [start_worker(f"{name}-1") for name in ("bad", "good")]
    bad, good = (leave_sweep(settings, tmp_path / "runs" / worker.worker_id, worker) for worker in workers)
    damage(bad)
    assert {live.folder for live in list_live_sweeps(settings)} == {bad.path, good.path}
    assert run_main("down") == 2
    assert all(is_running(psutil.Process(read_local(worker).pid)) for worker in workers)
    assert run_main("status", "--runs-dir", str(tmp_path / "runs")) == 0
    assert run_main("down", "--force") == 0
    assert not any(is_running(psutil.Process(read_local(worker).pid)) for worker in workers)
    assert list_live_sweeps(settings) == []
    assert list(list_records(settings)) == []
    state = good.load_state()
    assert (state.workers, state.status) == ((), "stopped")
    told = capsys.readouterr()
    assert told.out.count("Ended the sweep in") == 2
    assert "Traceback" not in told.err


def test_a_folder_that_cannot_be_written_keeps_no_worker_alive_and_no_other_sweep(
    settings: Settings,
    tmp_path: Path,
    start_worker: Callable[[str], WorkerRecord],
    capsys: pytest.CaptureFixture[str],
) -> None:
    workers = [start_worker(f"{name}-1") for name in ("bad", "good")]
    bad, good = (leave_sweep(settings, tmp_path / "runs" / worker.worker_id, worker) for worker in workers)
    replace_by_folder(bad.path / ".lock")  # as unwritable as a closed folder, also for root
    assert run_main("down", "--force") == 1
    assert not any(is_running(psutil.Process(read_local(worker).pid)) for worker in workers)
    assert good.load_state().status == "stopped"
    assert f"{bad.path}/.lock cannot be written" in capsys.readouterr().err


HOLDER = """
import signal, sys, time
from pathlib import Path
from multistage.store.live_records import register_sweep
from multistage.store.sweep_folder import SweepFolder
from multistage.settings import Settings
folder = SweepFolder(Path(sys.argv[1]))
with folder.lock():
    register_sweep(Settings(), folder)
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_driver_whose_folder_was_moved_is_known_and_ended(settings: Settings, tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "mine")
    folder.write_state(make_state())
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder.path)], stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout
        assert driver.stdout.readline() == "held\n"
        folder.path.rename(tmp_path / "moved")
        (live,) = list_live_sweeps(settings)
        assert live.driver == driver.pid
        end_sweep(live)
        assert driver.wait(5) < 0
    assert not folder.path.exists()
    assert list_live_sweeps(settings) == []


def test_a_sweep_of_another_machine_is_listed_and_ended_there_alone(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = SweepFolder(tmp_path / "mine")
    folder.write_state(make_state())
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder.path)], stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout
        assert driver.stdout.readline() == "held\n"
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(machines, "read_host", lambda: "login2")
            elsewhere.setattr(machines, "read_mark", lambda: "boot-b")
            (live,) = list_live_sweeps(settings)
            assert (live.driver, live.host) == (driver.pid, socket.gethostname())
            assert run_main("down") == 2
            assert run_main("down", "--force") == 1
            told = capsys.readouterr().err
            assert f"The sweep in {folder.path} is live on {socket.gethostname()}." in told
            assert f"Process {driver.pid} on {socket.gethostname()} drives the sweep in {folder.path}." in told
            assert driver.poll() is None
            driver.kill()
            driver.wait()
            assert list_live_sweeps(settings) == []
            assert list(list_records(settings)), "its workers may live there"
    assert list_live_sweeps(settings) == []
    assert list(list_records(settings)) == []


def test_a_sweep_that_was_registered_meanwhile_is_not_forgotten(settings: Settings, tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "mine")
    folder.write_state(make_state())
    register_sweep(settings, folder)
    (registered,) = list_records(settings)
    assert registered.driver is not None
    read_before = registered.model_copy(update={"driver": registered.driver.model_copy(update={"pid": 1})})
    forget_sweep(settings, read_before)
    assert list(list_records(settings)) == [registered]
    forget_sweep(settings, registered)
    assert list(list_records(settings)) == []


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"{}", b"[1]", b"nonsense"])
def test_a_record_that_says_nothing_is_dropped(settings: Settings, content: bytes) -> None:
    path = settings.home / "sweeps" / "0123456789abcdef"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert list_live_sweeps(settings) == []
    assert not path.exists()


def test_a_record_of_an_earlier_release_is_read(
    settings: Settings, tmp_path: Path, start_worker: Callable[[str], WorkerRecord]
) -> None:
    folder = leave_sweep(settings, tmp_path / "mine", start_worker("old-1"))
    locate_record(settings, folder.path).write_text(f"{folder.path}\n")
    (live,) = list_live_sweeps(settings)
    assert [worker.worker_id for worker in live.workers] == ["old-1"]


def test_a_sweep_is_known_by_what_it_noted_at_its_start(settings: Settings, tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "mine")
    folder.write_state(make_state())
    register_sweep(settings, folder)
    (live,) = list_live_sweeps(settings)
    assert (live.folder, live.driver) == (folder.path, os.getpid())


def test_a_survey_survives_a_state_nested_too_deeply(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "deep")
    folder.path.mkdir()
    folder.state_file.write_text('{"a": ' * 50_000)
    ((_, trouble),) = survey_sweeps(tmp_path)
    assert "nested too deeply" in str(trouble)
