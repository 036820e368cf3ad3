"""How programs end: late, without a word, or not at all; and what they leave behind."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import wandb

from multistage.worker.absence import explain_absence, explain_move
from tests.queued_sweeps import is_running, list_runs, queue_runs, wait_for_row, write_script

HASTY = """
import sys
from multistage.worker import lingering, program
lingering.ASK_EVERY, lingering.GRACE = 0.5, 4.0
program.main(sys.argv[1:])
"""
"""A worker whose programs have 4 s after their runs."""


def work(tracker: dict[str, str], folder: Path, sweep: str) -> str:
    """Let a worker train a sweep to its end; returns its log."""
    done = subprocess.run(
        [sys.executable, "-c", HASTY, "--sweep", sweep, "--idle", "1"],
        env={**tracker, "MULTISTAGE_RUN_LOGS": str(folder / "runs")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def find_marked(run_id: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MULTISTAGE_RUN") == run_id and not process.name().startswith("wandb-"):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


LATE = """
import threading
run = wandb.init()
run.log({"score": 1})
x = run.config["x"]
run.finish()
if x == 1:
    threading.Thread(target=time.sleep, args=(600,)).start()
if x == 2:
    time.sleep(1.5)
if x == 3:
    wandb.teardown()
    for name in ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH"):
        del os.environ[name]
    with wandb.init(project="work", id=f"beside-{run.id}") as beside:
        for step in range(8):
            beside.log({"score": step})
            time.sleep(1)
open(f"done-{x}", "w").close()
"""


def test_a_program_that_outlives_its_last_run_is_ended(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    script = write_script(workplace / "train.py", LATE)
    sweep = queue_runs(api, script.name, [{"x": x} for x in (1, 2, 3)])
    log = work(tracker, workplace, sweep)
    runs = list_runs(sweep)
    assert {name: (run.state, run.summary["score"]) for name, run in runs.items()} == {
        f"run-{index}": ("finished", 1) for index in range(3)
    }
    assert f"Run {runs['run-0'].id} has ended, and its program is still running after 4 s" in log
    assert log.count("still running") == 1
    assert not find_marked(runs["run-0"].id)
    assert (workplace / "done-2").exists(), "work of less than the grace"
    assert (workplace / "done-3").exists(), "another run in progress"
    beside = wandb.Api().run(f"{sweep.rpartition('/')[0]}/beside-{runs['run-2'].id}")
    assert (beside.state, beside.summary["score"]) == ("finished", 7)


UNFINISHED = """
import atexit
run = wandb.init()
x = run.config["x"]
run.log({"score": x})
if x == 1:
    time.sleep(4)
    os._exit(0)
if x == 2:
    atexit.register(lambda: 1 / 0)
if x == 3:
    if os.fork() == 0:
        sys.exit(0)
    os.wait()
    run.log({"score": 30})
if x == 4:
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(4)"])
"""


def test_a_run_counts_whose_program_leaves_with_exit_code_0(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    script = write_script(workplace / "train.py", UNFINISHED)
    sweep = queue_runs(api, script.name, [{"x": x} for x in (1, 2, 3, 4)])
    log = work(tracker, workplace, sweep)
    runs = list_runs(sweep)
    assert [run.state for run in runs.values()] == ["finished"] * 4
    assert {name: run.summary["score"] for name, run in runs.items()} == {
        "run-0": 1,
        "run-1": 2,
        "run-2": 30,
        "run-3": 4,
    }
    noted = {name for name, run in runs.items() if "without run.finish()" in run.summary.get("_multistage_note", "")}
    assert noted == {"run-0", "run-3"}
    assert log.count("the last rows that it logged may be missing") == 2


LEAVING = """
import signal, socket, subprocess
with wandb.init() as run:
    port = run.config["port"]
    holder = socket.socket()
    holder.bind(("127.0.0.1", port))
    holder.listen()
    holder.set_inheritable(True)
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    command = [sys.executable, "-c", stubborn]
    keep = {"pass_fds": [holder.fileno()], "start_new_session": True}
    if run.config["x"] == 1:
        subprocess.Popen(command, **keep)
    if run.config["x"] == 2:
        subprocess.Popen(command, env={}, **keep)
    if run.config["x"] == 3 and os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    if run.config["x"] == 4:
        subprocess.Popen(command, **keep)
        run.log({"score": 1})
        os.kill(os.getpid(), signal.SIGKILL)
    run.log({"score": 1})
"""


def find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_nothing_that_a_training_leaves_behind_holds_the_next_one_s_port(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    script = write_script(workplace / "train.py", LEAVING)
    port = find_free_port()
    sweep = queue_runs(api, script.name, [{"x": x, "port": port} for x in (1, 2, 3, 4, 5)])
    log = work(tracker, workplace, sweep)
    runs = list_runs(sweep)
    states = [run.state for _, run in sorted(runs.items())]
    assert states[:3] + states[4:] == ["finished"] * 4, log
    assert log.count("A process that it had left behind was ended") == 4
    assert not [process for run in runs.values() for process in find_marked(run.id)]


def test_what_a_training_has_started_ends_with_its_worker(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    body = """
import subprocess
run = wandb.init()
command = [sys.executable, "-c", "import time; time.sleep(600)"]
marked, bare = (subprocess.Popen(command, start_new_session=True, **more) for more in ({}, {"env": {}}))
run.log({"score": 1, "marked": marked.pid, "bare": bare.pid})
time.sleep(600)
"""
    sweep = queue_runs(api, write_script(workplace / "train.py", body).name, [{"x": 1}])
    worker = subprocess.Popen(
        [sys.executable, "-m", "multistage.worker", "--sweep", sweep],
        env=tracker,
        cwd=workplace,
        start_new_session=True,
    )
    try:
        run = wait_for_row(sweep, "run-0", "bare")
        left = [psutil.Process(run.summary[name]) for name in ("marked", "bare")]
        worker.terminate()
        assert worker.wait(20) < 0
        assert not [process for process in left if is_running(process)]
    finally:
        worker.kill()


HINTING = """
import atexit
atexit.register(lambda: print("Set the environment variable HYDRA_FULL_ERROR=1", file=sys.stderr))
if "--x=1" in sys.argv:
    raise ValueError("before its run")
with wandb.init():
    raise ValueError("in its run")
"""


def test_a_failed_run_says_why_whatever_its_program_prints_after_that(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    sweep = queue_runs(api, write_script(workplace / "train.py", HINTING), [{"x": 1}, {"x": 2}])
    work(tracker, workplace, sweep)
    runs = list_runs(sweep)
    assert [runs[f"run-{index}"].summary["error"] for index in range(2)] == [
        "ValueError: before its run",
        "ValueError: in its run",
    ]


NEVER = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=int)
parser.add_argument("--track", action="store_true")
args = parser.parse_args()
if args.track:
    import wandb
    wandb.init()
"""


def see_unfit(api: wandb.Api, tracker: dict[str, str], folder: Path, program: Path) -> tuple[Any, str]:
    """Let a worker meet a program that cannot work; returns its first run, and the worker's log."""
    sweep = queue_runs(api, program, [{"x": 1}, {"x": 2}])
    log = work(tracker, folder, sweep)
    runs = list_runs(sweep)
    assert runs["run-0"].summary["_multistage_fault"] == "setup"
    assert (runs["run-0"].state, runs["run-1"].state) == ("failed", "pending"), "no other run is wasted"
    assert "No other run would do better: exiting." in log
    assert runs["run-0"].summary["error"] in log
    return runs["run-0"], log


def test_a_program_that_never_reaches_wandb_is_told_with_its_remedy(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    run, _ = see_unfit(api, tracker, workplace, write_script(workplace / "train.py", NEVER))
    assert "never reached wandb.init. Its source asks for --track first" in run.summary["error"]


def test_a_run_with_an_id_of_the_program_s_own_names_the_variable(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    body = """
os.environ["WANDB_RUN_ID"] = "mine" + str(os.getpid())
with wandb.init() as run:
    run.log({"score": 1})
"""
    run, _ = see_unfit(api, tracker, workplace, write_script(workplace / "train.py", body))
    assert run.summary["error"].startswith("The program sets WANDB_RUN_ID in its environment")


@pytest.mark.parametrize("pause", [0, 8], ids=["at once", "when its training has begun"])
def test_a_command_that_does_not_wait_for_its_training_is_told_so(
    api: wandb.Api, tracker: dict[str, str], workplace: Path, pause: int
) -> None:
    write_script(workplace / "train.py", "run = wandb.init()\nrun.log({'score': 1})\ntime.sleep(600)\n")
    shell = workplace / "train"
    shell.write_text(f'#!/bin/sh\nnohup {sys.executable} train.py "$@" &\nsleep {pause}\n')
    wrapper = workplace / "wrapper.py"
    wrapper.write_text(f"import subprocess, sys\nsys.exit(subprocess.call(['sh', '{shell}', *sys.argv[1:]]))\n")
    run, _ = see_unfit(api, tracker, workplace, wrapper)
    assert "left its training in the background" in run.summary["error"]
    assert not find_marked(run.id)


def test_a_config_with_which_a_program_ends_at_once_fails_alone(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    body = "if '--x=2' in sys.argv:\n    sys.exit(0)\nwith wandb.init() as run:\n    run.log({'score': 1})\n"
    sweep = queue_runs(api, write_script(workplace / "train.py", body), [{"x": x} for x in (1, 2, 3)])
    work(tracker, workplace, sweep)
    runs = list_runs(sweep)
    assert [runs[f"run-{index}"].state for index in range(3)] == ["finished", "failed", "finished"]
    assert "_multistage_fault" not in runs["run-1"].summary


HOME = ("me", "work", "abc")


@pytest.mark.parametrize(
    ("printed", "named"),
    [
        ("wandb: View run at https://wandb.ai/me/work/runs/abc\n", ""),
        ("nothing of wandb's\n", ""),
        ("wandb: View run at https://wandb.ai/me/other/runs/abc\n", "WANDB_PROJECT"),
        ("wandb: View run at \x1b[34mhttps://wandb.ai/you/work/runs/abc\x1b[0m\n", "WANDB_ENTITY"),
        (
            "wandb: View run at http://127.0.0.1:80/you/other/runs/x?nw=1\n",
            "WANDB_ENTITY and WANDB_PROJECT and WANDB_RUN_ID",
        ),
    ],
)
def test_the_variable_that_has_moved_a_run_is_named(printed: str, named: str) -> None:
    told = explain_move(printed, HOME)
    assert told.startswith(f"The program sets {named} in its environment") if named else told == ""


def test_a_module_s_text_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MULTISTAGE_RUN_LOGS", raising=False)
    absence = explain_absence("abc", "me", "work", ["python", "-m", "pkg.train"], [])
    assert not absence.certain
    assert absence.sentence.endswith("Make it call wandb.init in every run, with no mode of its own.")
    assert os.environ.get("MULTISTAGE_RUN") is None
