import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import wandb

from multistage.domain.workers.variables import PREFECT_AUTH, PREFECT_SERVER_AUTH
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.errors import LaunchError
from multistage.launchers.local import launcher as local
from multistage.launchers.local.launcher import LocalLauncher
from multistage.launchers.local.records import read_local
from multistage.launchers.local.worker_processes import find_processes
from tests.queued_sweeps import (
    client_variables,
    find_training,
    is_running,
    list_runs,
    queue_runs,
    read_command,
    wait_for_row,
    wait_for_state,
    wait_until,
    write_script,
)

LONG = 100_000
"""Epochs that no test waits for."""

MakeLauncher = Callable[..., LocalLauncher]


def find_pid(record: WorkerRecord) -> int:
    return read_local(record).pid


@pytest.fixture
def make_launcher(tracker: dict[str, str], tmp_path: Path) -> Iterator[MakeLauncher]:
    """Launchers whose workers end with the test."""
    made: list[LocalLauncher] = []
    launched: list[WorkerRecord] = []

    class NotedLauncher(LocalLauncher):
        def launch(self, sweep: str, count: int) -> Iterator[WorkerRecord]:
            for record in super().launch(sweep, count):
                launched.append(record)
                yield record

    def make(config_id: str | None = "digits:mlp", idle: float = 60.0) -> LocalLauncher:
        made.append(
            NotedLauncher(tmp_path / "logs", environment=client_variables(tracker), idle=idle, config_id=config_id)
        )
        return made[-1]

    yield make
    for launcher in made:
        launcher.close()
    if launched:
        LocalLauncher(tmp_path).stop(launched)


def test_two_workers_share_the_runs_and_leave(api: wandb.Api, make_launcher: MakeLauncher) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"seed": seed, "epochs": 30} for seed in range(6)])
    launcher = make_launcher(idle=2)
    launcher.prepare()
    records = list(launcher.launch(sweep, 2))
    assert [record.sweep for record in records] == [sweep] * 2
    assert all(launcher.is_alive(record) for record in records)
    wait_until(
        lambda: all(os.getsid(find_pid(record)) == find_pid(record) for record in records), "sessions of their own", 5
    )
    wait_until(lambda: not any(launcher.is_alive(record) for record in records), "the end of both", 90)
    runs = list_runs(sweep).values()
    assert [run.state for run in runs] == ["finished"] * 6
    trained = [Path(read_local(record).log).read_text().count("exit code 0") for record in records]
    assert sum(trained) == 6
    assert min(trained) > 0
    assert not find_processes(records)


def test_a_killed_training_ends_neither_worker_nor_sweep(api: wandb.Api, make_launcher: MakeLauncher) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"epochs": LONG}, {"epochs": 2}])
    launcher = make_launcher()
    (record,) = launcher.launch(sweep, 1)
    wait_for_row(sweep, "run-0", "epoch")
    find_training(find_pid(record)).kill()
    wait_for_state(sweep, "run-0", "crashed")
    wait_for_state(sweep, "run-1", "finished")
    assert launcher.is_alive(record)


def test_stop_ends_workers_and_trainings_in_order(api: wandb.Api, make_launcher: MakeLauncher) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"epochs": LONG}] * 2)
    launcher = make_launcher()
    records = list(launcher.launch(sweep, 2))
    for name in ("run-0", "run-1"):
        wait_for_row(sweep, name, "epoch")
    processes = find_processes(records)
    assert len(processes) >= 6  # workers, trainings, wandb-cores
    started = time.monotonic()
    launcher.stop(records)
    assert time.monotonic() - started < 10
    assert not [process for process in processes if is_running(process)]
    assert not any(launcher.is_alive(record) for record in records)
    for name in ("run-0", "run-1"):
        assert wait_for_state(sweep, name, "killed").summary["error"] == "Ended early by SIGTERM."
    launcher.stop(records)  # harmless


def test_another_process_adopts_workers_by_their_records(
    api: wandb.Api, make_launcher: MakeLauncher, tmp_path: Path
) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"epochs": LONG}])
    first = make_launcher()
    records = list(first.launch(sweep, 1))
    first.close()
    wait_for_row(sweep, "run-0", "epoch")
    copies = [WorkerRecord.model_validate_json(record.model_dump_json()) for record in records]
    with closing(LocalLauncher(tmp_path / "elsewhere")) as second:
        assert all(second.is_alive(copy) for copy in copies)
        earlier = {**copies[0].details, "process_started_at": read_local(copies[0]).process_started_at - 100}
        recycled = copies[0].model_copy(update={"details": earlier, "worker_id": "longgone-1"})
        assert not second.is_alive(recycled)
        second.stop([recycled])
        assert second.is_alive(copies[0])
        second.stop(copies)
        assert not second.is_alive(copies[0])
    assert not (tmp_path / "elsewhere" / "fork_server.log").exists()


ORPHAN_SCRIPT = """
if os.fork() == 0:
    os.setsid()  # hides in a session of its own
    time.sleep(600)
run = wandb.init()
run.log({"score": 1})
time.sleep(600)
"""


def test_orphans_of_a_killed_worker_are_found(api: wandb.Api, make_launcher: MakeLauncher, tmp_path: Path) -> None:
    script = write_script(tmp_path / "orphan.py", ORPHAN_SCRIPT)
    sweep = queue_runs(api, script, [{"x": 1}])
    launcher = make_launcher(config_id=None)
    records = list(launcher.launch(sweep, 1))
    wait_for_row(sweep, "run-0", "score")
    psutil.Process(find_pid(records[0])).kill()
    wait_until(lambda: not launcher.is_alive(records[0]), "the worker's end")
    orphans = [process for process in find_processes(records) if "orphan.py" in read_command(process)]
    assert len(orphans) == 2
    launcher.stop(records)
    assert not [process for process in orphans if is_running(process)]
    assert not find_processes(records)


def test_own_scripts_run_in_this_directory_and_their_failures_can_be_quoted(
    api: wandb.Api, make_launcher: MakeLauncher, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (PREFECT_AUTH, PREFECT_SERVER_AUTH):
        monkeypatch.setenv(name, "me:password")
    body = """
withheld = "me:password" not in os.environ.values()
wandb.init().log({"score": 1, "withheld": withheld})
raise ValueError("no such luck")
"""
    write_script(workplace / "train.py", body)
    sweep = queue_runs(api, "train.py", [{"x": 1}])
    launcher = make_launcher(config_id=None)
    list(launcher.launch(sweep, 1))
    run = wait_for_state(sweep, "run-0", "failed")
    assert run.summary["withheld"] is True
    wait_until(lambda: launcher.read_failure(run.id), "the log")
    assert launcher.read_failure(run.id).endswith("ValueError: no such luck")
    assert launcher.read_failure("nosuchrun") == ""
    assert launcher.read_failure("../fork_server") == ""


def test_workers_before_one_that_cannot_be_started_are_told_of(
    api: wandb.Api, make_launcher: MakeLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multistage.launchers.local.launcher.CAN_FORK", False)
    sweep = queue_runs(api, "digits:mlp", [])
    launcher, started = make_launcher(), subprocess.Popen
    told: list[WorkerRecord] = []

    def refuse_second(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        if told:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return started(*args, **options)

    monkeypatch.setattr(subprocess, "Popen", refuse_second)
    workers = iter(launcher.launch(sweep, 3))
    told.append(next(workers))
    with pytest.raises(LaunchError, match=r"No worker can be started: Resource temporarily unavailable\."):
        next(workers)
    assert launcher.is_alive(told[0])
    launcher.stop(told)


def test_the_key_is_on_no_command_line_and_in_no_file(
    api: wandb.Api, make_launcher: MakeLauncher, tracker: dict[str, str], tmp_path: Path
) -> None:
    key = tracker["WANDB_API_KEY"]
    sweep = queue_runs(api, "digits:mlp", [{"epochs": LONG}])
    launcher = make_launcher()
    records = list(launcher.launch(sweep, 1))
    wait_for_row(sweep, "run-0", "epoch")
    processes = [*find_processes(records), *psutil.Process().children(recursive=True)]
    assert not [process for process in processes if key in read_command(process)]
    launcher.stop(records)
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "wandb_server" not in path.parts]
    assert written
    assert not [path for path in written if key.encode() in path.read_bytes()]
    assert key not in "".join(record.model_dump_json() for record in records)


ORCHESTRATOR = """
import os, sys, time
from pathlib import Path
from multistage.launchers.local.launcher import LocalLauncher
launcher = LocalLauncher(Path(sys.argv[1]), config_id="digits:mlp")
for record in launcher.launch(sys.argv[2], 1):
    print(record.model_dump_json(), flush=True)
time.sleep(600)
"""


def test_workers_survive_their_orchestrator_and_the_fork_server_does_not(
    api: wandb.Api, tracker: dict[str, str], tmp_path: Path
) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"epochs": LONG}])
    orchestrator = subprocess.Popen(
        [sys.executable, "-c", ORCHESTRATOR, str(tmp_path / "logs"), sweep],
        env=tracker,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert orchestrator.stdout is not None
        record = WorkerRecord.model_validate_json(orchestrator.stdout.readline())
        fork_servers = psutil.Process(orchestrator.pid).children()
        assert len(fork_servers) == 1
        wait_for_row(sweep, "run-0", "epoch")
        orchestrator.send_signal(signal.SIGKILL)
        wait_until(lambda: not is_running(fork_servers[0]), "the fork server's end", 10)
        launcher = LocalLauncher(tmp_path / "logs")
        epoch = list_runs(sweep)["run-0"].summary["epoch"]
        wait_until(lambda: list_runs(sweep)["run-0"].summary["epoch"] > epoch, "further rows")
        assert launcher.is_alive(record)
        launcher.stop([record])
        assert not launcher.is_alive(record)
    finally:
        orchestrator.kill()
        orchestrator.communicate()


def test_a_fork_server_that_dies_is_replaced(api: wandb.Api, make_launcher: MakeLauncher) -> None:
    sweep = queue_runs(api, "digits:mlp", [])
    launcher = make_launcher(idle=1)
    first = list(launcher.launch(sweep, 1))
    (fork_server,) = [child for child in psutil.Process().children() if "fork_server" in read_command(child)]
    fork_server.kill()
    wait_until(lambda: not is_running(fork_server), "the fork server's end")
    second = list(launcher.launch(sweep, 1))
    assert all(launcher.is_alive(record) for record in second)
    assert first[0].worker_id != second[0].worker_id


def test_workers_that_cannot_start_are_a_launch_error(tmp_path: Path, tracker: dict[str, str]) -> None:
    broken = {**client_variables(tracker), "PYTHONPATH": str(tmp_path)}
    (tmp_path / "wandb.py").write_text("raise ImportError('this wandb is broken')")
    with (
        closing(LocalLauncher(tmp_path / "logs", environment=broken)) as launcher,
        pytest.raises(LaunchError, match=r"ImportError: this wandb is broken.*fork_server\.log"),
    ):
        list(launcher.launch("local/work/any", 1))


def test_where_forking_is_unsafe_each_worker_is_started_afresh(
    api: wandb.Api, make_launcher: MakeLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "CAN_FORK", False)
    sweep = queue_runs(api, "digits:mlp", [{"epochs": 2}, {"epochs": LONG}])
    launcher = make_launcher()
    (record,) = launcher.launch(sweep, 1)
    wait_for_state(sweep, "run-0", "finished")
    wait_for_row(sweep, "run-1", "epoch")
    assert os.getsid(find_pid(record)) == find_pid(record)
    processes = find_processes([record])
    launcher.stop([record])
    assert not launcher.is_alive(record)
    assert not [process for process in processes if is_running(process)]
