import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import wandb
from wandb.apis.public.sweeps import _set_sweep_state

from multistage.worker.trainings import find_bundled_arguments, shield_bundled
from tests.queued_sweeps import (
    find_training,
    is_running,
    list_runs,
    queue_runs,
    wait_for_row,
    wait_for_state,
    wait_until,
    write_script,
)
from tests.server_process import ServerProcess

LONG = 100_000
"""Epochs that no test waits for."""


@contextmanager
def working(
    tracker: dict[str, str], folder: Path, sweep: str, idle: float = 60.0
) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker, and nothing of it left behind."""
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "multistage.worker", "--sweep", sweep, "--idle", str(idle)],
            env={**tracker, "MULTISTAGE_RUN_LOGS": str(folder / "runs")},
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    below: list[psutil.Process] = []
    try:
        yield worker
    finally:
        if worker.poll() is None:
            below = psutil.Process(worker.pid).children(recursive=True)
            worker.kill()
            worker.wait()
        for process in below:
            if is_running(process):
                process.kill()


def wait_for_end(processes: list[psutil.Process], timeout: float) -> None:
    """Wait until none is left; names those that are."""
    _, alive = psutil.wait_procs(processes, timeout=timeout)
    assert not [process for process in alive if is_running(process)]


def read_log(folder: Path) -> str:
    return (folder / "worker.log").read_text()


def test_runs_are_trained_one_after_the_other_without_a_pause(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"seed": seed, "epochs": 5} for seed in range(4)])
    with working(tracker, workplace, sweep, idle=2) as worker:
        assert worker.wait(100) == 0
    runs = sorted(list_runs(sweep).values(), key=lambda run: float(run.summary["time/first_step"]))
    assert [run.state for run in runs] == ["finished"] * 4
    assert sorted(run.config["seed"] for run in runs) == [0, 1, 2, 3]
    for earlier, later in pairwise(runs):
        # Generous: the benchmark measures, this tells a fork from a fresh interpreter on a busy machine.
        assert 0 < later.summary["time/first_step"] - earlier.summary["time/last_step"] < 2
    assert "No run for 2 s: exiting." in read_log(workplace)
    assert all(f"run {run.id} exit code 0" in read_log(workplace) for run in runs)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_training_that_dies_takes_nothing_with_it(
    api: wandb.Api, tracker: dict[str, str], workplace: Path, number: signal.Signals
) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"epochs": LONG}, {"epochs": 3}])
    with working(tracker, workplace, sweep, idle=2) as worker:
        wait_for_row(sweep, "run-0", "epoch")
        find_training(worker.pid).send_signal(number)
        assert wait_for_state(sweep, "run-1", "finished").summary["epoch"] == 3
        lost = wait_for_state(sweep, "run-0", "crashed")
        assert worker.wait(60) == 0
    assert f"run {lost.id} exit code {-number}" in read_log(workplace)


def test_a_lost_wandb_core_costs_one_run(api: wandb.Api, tracker: dict[str, str], workplace: Path) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"epochs": LONG}, {"epochs": 3}])
    with working(tracker, workplace, sweep, idle=2) as worker:
        wait_for_row(sweep, "run-0", "epoch")
        for child in psutil.Process(worker.pid).children():
            if child.name() == "wandb-core":
                child.kill()
        wait_for_state(sweep, "run-1", "finished")
        wait_for_state(sweep, "run-0", "crashed")
        assert worker.wait(60) == 0


def test_a_config_that_fails_does_not_end_the_worker(api: wandb.Api, tracker: dict[str, str], workplace: Path) -> None:
    configs: list[dict[str, float]] = [{"learning_rate": 0.0}] * 6 + [{"learning_rate": 0.001, "epochs": 2}]
    sweep = queue_runs(api, "digits:mlp", configs)
    with working(tracker, workplace, sweep, idle=2) as worker:
        assert worker.wait(100) == 0
    runs = list_runs(sweep)
    assert [runs[f"run-{index}"].state for index in range(7)] == ["failed"] * 6 + ["finished"]
    assert runs["run-0"].summary["error"] == "learning_rate = 0.0: should be greater than 0."


OWN_SCRIPT = """
if "--x=5" in sys.argv:
    import no_such_module
with wandb.init() as run:
    print("trained by hand")
    run.log({"score": run.config["x"] * 2})
    run.summary["interpreter"] = sys.executable
    run.summary["arguments"] = sys.argv[1:]
    run.summary["session"] = os.getsid(0)
    run.summary["group"] = os.getpgid(0)
    run.summary["pid"] = os.getpid()
    if run.config["x"] == 2:
        raise ValueError("two is too many")
    if run.config["x"] == 3:
        print("left without a word", flush=True)
        os._exit(3)
"""


def test_own_scripts_run_as_with_the_real_agent(api: wandb.Api, tracker: dict[str, str], workplace: Path) -> None:
    script = write_script(workplace / "train.py", OWN_SCRIPT)
    sweep = queue_runs(api, script.name, [{"x": x} for x in range(1, 6)])
    # A worker must find its own interpreter also where PATH names another one first.
    stray = workplace / "bin"
    stray.mkdir()
    (stray / "python").symlink_to("/bin/false")
    with working({**tracker, "PATH": f"{stray}{os.pathsep}{tracker['PATH']}"}, workplace, sweep, idle=2) as worker:
        assert worker.wait(100) == 0
    runs = list_runs(sweep)
    assert {name: run.state for name, run in runs.items()} == {
        "run-0": "finished",
        "run-1": "failed",
        "run-2": "failed",
        "run-3": "finished",
        "run-4": "failed",
    }
    summary = runs["run-0"].summary
    assert summary["score"] == 2
    assert Path(summary["interpreter"]).parent == Path(sys.executable).parent
    assert list(summary["arguments"]) == ["--x=1"]
    assert summary["session"] == worker.pid
    assert summary["group"] == summary["pid"]
    assert "trained by hand" in (workplace / "runs" / f"{runs['run-0'].id}.log").read_text()
    assert "ValueError: two is too many" in read_log(workplace)
    assert f"run {runs['run-2'].id} exit code 3" in read_log(workplace)
    assert [runs[f"run-{index}"].summary.get("error") for index in range(5)] == [
        None,
        "ValueError: two is too many",
        "left without a word",
        None,
        "ModuleNotFoundError: No module named 'no_such_module'",
    ]


STUBBORN_SCRIPT = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
run = wandb.init()
run.log({"score": 1})
while True:
    time.sleep(1)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_worker_with_its_training(
    api: wandb.Api, tracker: dict[str, str], workplace: Path, number: signal.Signals
) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"epochs": LONG}])
    with working(tracker, workplace, sweep) as worker:
        run = wait_for_row(sweep, "run-0", "epoch")
        below = psutil.Process(worker.pid).children(recursive=True)
        started = time.monotonic()
        worker.send_signal(number)
        assert worker.wait(10) == -number
        assert time.monotonic() - started < 4
        wait_for_end(below, 10)
    run = wait_for_state(sweep, "run-0", "killed")
    assert run.summary["error"] == "Ended early by SIGTERM."
    assert run.summary["epoch"] == run.lastHistoryStep + 1


def test_a_training_that_will_not_end_is_killed(api: wandb.Api, tracker: dict[str, str], workplace: Path) -> None:
    script = write_script(workplace / "stubborn.py", STUBBORN_SCRIPT)
    sweep = queue_runs(api, script, [{"x": 1}])
    with working(tracker, workplace, sweep) as worker:
        wait_for_row(sweep, "run-0", "score")
        below = psutil.Process(worker.pid).children(recursive=True)
        started = time.monotonic()
        worker.terminate()
        assert worker.wait(10) == -signal.SIGTERM
        assert 3 < time.monotonic() - started < 8
        wait_for_end(below, 10)


LINGERING_SCRIPT = """
with wandb.init() as run:
    run.log({"score": 1})
time.sleep(600)
"""


def test_a_run_that_has_ended_stays_as_it_ended(api: wandb.Api, tracker: dict[str, str], workplace: Path) -> None:
    script = write_script(workplace / "lingering.py", LINGERING_SCRIPT)
    sweep = queue_runs(api, script, [{"x": 1}])
    with working(tracker, workplace, sweep) as worker:
        wait_for_state(sweep, "run-0", "finished")
        worker.terminate()
        assert worker.wait(20) == -signal.SIGTERM
    (run,) = list_runs(sweep).values()
    assert run.state == "finished"


def test_a_bundled_training_ends_with_its_killed_worker(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"epochs": LONG}])
    with working(tracker, workplace, sweep) as worker:
        wait_for_row(sweep, "run-0", "epoch")
        below = psutil.Process(worker.pid).children(recursive=True)
        worker.kill()
        wait_for_end(below, 10)


SLOW_SCRIPT = """
with wandb.init() as run:
    for step in range(20):
        run.log({"score": step})
        time.sleep(0.2)
"""


def test_an_own_script_outlives_its_killed_worker(api: wandb.Api, tracker: dict[str, str], workplace: Path) -> None:
    script = write_script(workplace / "slow.py", SLOW_SCRIPT)
    sweep = queue_runs(api, script, [{"x": 1}])
    with working(tracker, workplace, sweep) as worker:
        wait_for_row(sweep, "run-0", "score")
        worker.kill()
        worker.wait()
    assert wait_for_state(sweep, "run-0", "finished").summary["score"] == 19


def test_the_worker_leaves_when_its_sweep_is_stopped(api: wandb.Api, tracker: dict[str, str], workplace: Path) -> None:
    sweep = queue_runs(api, "digits:mlp", [])
    with working(tracker, workplace, sweep) as worker:
        wait_until(lambda: "Worker" in read_log(workplace), "the worker")
        subprocess.run(
            [sys.executable, "-m", "wandb", "sweep", "--stop", sweep], env=tracker, check=True, capture_output=True
        )
        assert worker.wait(20) == 0


def test_nobody_waits_for_a_sweep_that_has_handed_out_all_its_runs(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"epochs": LONG}], planned=1)
    elsewhere = workplace / "elsewhere"
    elsewhere.mkdir()
    with working(tracker, workplace, sweep) as busy:
        wait_for_row(sweep, "run-0", "epoch")
        with working(tracker, elsewhere, sweep) as idle:
            assert idle.wait(30) == 0
        assert busy.poll() is None
    assert "handed out all its runs: exiting." in read_log(elsewhere)


@pytest.mark.parametrize("paused", [False, True], ids=["one is to come", "all wait"])
def test_whoever_may_get_a_run_yet_waits(
    api: wandb.Api, tracker: dict[str, str], workplace: Path, paused: bool
) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"epochs": 1}] if paused else [], planned=1)
    if paused:
        entity, project, sweep_id = sweep.split("/")
        for state in ("RUNNING", "PAUSED"):
            _set_sweep_state(api, sweep_id, state, entity=entity, project=project)
    with working(tracker, workplace, sweep, idle=2) as worker:
        assert worker.wait(30) == 0
    assert "No run for 2 s: exiting." in read_log(workplace)


def test_a_server_that_is_away_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ServerProcess(tmp_path) as server:
        for name, value in server.environment.items():
            if name.startswith("WANDB_"):
                monkeypatch.setenv(name, value)
        wandb.teardown()
        own_api = wandb.Api()
        sweep = queue_runs(own_api, "digits:mlp", [{"epochs": 400}, {"epochs": 2}])
        with working(server.environment, tmp_path, sweep, idle=30) as worker:
            wait_for_row(sweep, "run-0", "epoch")
            server.kill()
            wait_until(lambda: "does not answer" in read_log(tmp_path), "notice of the loss")
            server.start()
            for name in ("run-0", "run-1"):
                wait_for_state(sweep, name, "finished")
            assert worker.poll() is None
        assert [run.summary["epoch"] for _, run in sorted(list_runs(sweep).items())] == [400, 2]
        wandb.teardown()


@pytest.mark.parametrize(
    ("changes", "sweep", "code", "sentence"),
    [
        ({}, "local/work/nosuchid", 1, "Sweep local/work/nosuchid not found"),
        ({"WANDB_API_KEY": "f" * 40}, "local/work/nosuchid", 1, "key"),
        ({"WANDB_BASE_URL": "http://127.0.0.1:9"}, "local/work/nosuchid", 1, "connection refused"),
        ({}, "nosuchid", 2, "'nosuchid' does not name a sweep. Give it as ENTITY/PROJECT/ID."),
    ],
)
def test_a_worker_that_cannot_work_says_why(
    tracker: dict[str, str], workplace: Path, changes: dict[str, str], sweep: str, code: int, sentence: str
) -> None:
    with working({**tracker, **changes}, workplace, sweep, idle=1) as worker:
        assert worker.wait(60) == code
    assert sentence in read_log(workplace)
    assert "Traceback" not in read_log(workplace)
    assert changes.get("WANDB_API_KEY", "f" * 40) not in read_log(workplace)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("/usr/bin/env python -m multistage.training --config_id a:b --x=1", ["--config_id", "a:b", "--x=1"]),
        ("python -m multistage.training", []),
        ("/usr/bin/env python -m multistage.training_of_mine --x=1", None),
        ("/usr/bin/env python train.py -m multistage.training", None),
        ("/usr/bin/env bash -m multistage.training", None),
        ("/usr/bin/env python", None),
    ],
)
def test_bundled_trainings_are_recognized_by_their_command(command: str, arguments: list[str] | None) -> None:
    assert find_bundled_arguments(command.split()) == arguments


def test_a_bundled_training_is_this_package_s_beside_a_user_s_module_of_its_name(workplace: Path) -> None:
    (workplace / "multistage.py").write_text("raise SystemExit('the user')")
    command = ["/usr/bin/env", sys.executable, "-m", "multistage.training"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip() == "the user"
    done = subprocess.run(shield_bundled(command), capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.startswith("No --config_id was given. Bundled are digits:mlp")
