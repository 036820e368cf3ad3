"""Trainings that do what no training should: the sweep uses exactly its budget, and nothing of them is left."""

import signal
from pathlib import Path

import psutil
import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget, wait_for
from tests.flows.victims import list_trainings, list_workers

PROLOGUE = """
import os, shutil, signal, subprocess, sys, time
import wandb


def take_number():
    number = 0
    while True:
        try:
            os.close(os.open(f"taken-{number}", os.O_CREAT | os.O_EXCL))
            return number
        except FileExistsError:
            number += 1


def leave_daemons():
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)  # left behind"
    for options in ({}, {"start_new_session": True}, {"start_new_session": True, "env": {}}):
        subprocess.Popen([sys.executable, "-c", stubborn], **options)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", stubborn])
        os._exit(0)


def mark(what):
    open(f"{place}/{what}-{number}", "w").close()


place = os.getcwd()
number = take_number()
"""
ODD = (
    PROLOGUE
    + """
keys = ["a.b", "a/b/c", "", " ", "ключ", "<img src=x onerror=alert(1)>", "k" * 2000, "__proto__", "_odd", "a`b|c", "x",
        "score ", "new\\nline", "constructor", "[0]", "score.max", "$(id)", "'\\"", "\\x00nul", "\\u202ereversed"]
values = [float("nan"), float("inf"), -float("inf"), None, True, "text", [1, [2]], {"a": {"b": {"score": 9}}}, 10**400,
          b"bytes", "\\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"), 1e-320]
run = wandb.init()
score = run.config["x"]
if number == 0:
    for _ in range(1000):
        os.write(1, b"0123456789abcde\\n" * 6250)
elif number == 1:
    os.write(1, bytes(range(256)) * 4096)
    os.write(2, b"\\xff\\xfe\\x00" + b"no end of a line " * 100_000)
elif number == 2:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    leave_daemons()
elif number == 3:
    os.makedirs(run.dir, exist_ok=True)  # wandb makes it in its own time
    shutil.rmtree(run.dir)
elif number == 4:
    shutil.rmtree(os.environ["WANDB_DIR"])
elif number == 5:
    for key in keys:
        run.log({key: 1.0})
        run.summary[key] = 2.0
elif number == 6:
    for value in values:
        try:
            run.log({"odd": value})
        except (TypeError, ValueError, OverflowError) as error:
            print(error)
    run.log({"score": float("nan")})
    run.log({"score": "text"})
elif number == 7:
    run.config.update({"x": "<b>", "": 1, "a.b": {"c": [None]}, "__proto__": 1}, allow_val_change=True)
    run.name = run.notes = "\\x00" + "<script>alert(1)</script>" * 100
elif number == 8:
    for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(signum, signal.SIG_IGN)
    os.closerange(0, 3)
elif number == 9:
    os.chdir("/")
run.log({"score": score})
run.finish()
mark("ended")
"""
)
STUBBORN = (
    PROLOGUE
    + """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
run = wandb.init()
if not os.path.exists("go"):
    leave_daemons()
    mark("stubborn")
    time.sleep(600)
run.log({"score": run.config["x"]})
run.finish()
"""
)
SWEEP = ("my:script", "--program", "train.py", "--params", "x:0-1", "--metric", "score", "--workers", "2")


def list_left_behind() -> list[psutil.Process]:
    """List what `leave_daemons` started, whatever has become of its environment."""
    return [one for one in psutil.process_iter(["cmdline"]) if "# left behind" in " ".join(one.info["cmdline"] or ())]


def check_clean(commands: CommandLine, folder: SweepFolder, *outputs: str) -> None:
    for output in (*outputs, *(log.read_text() for log in folder.logs.glob("worker-*.log"))):
        assert "Traceback" not in output, output
    assert not list_workers(folder)
    assert not list_left_behind()
    assert commands.run("status", folder.name).stdout


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_whatever_a_training_does_its_run_counts_once(commands: CommandLine, workplace: Path) -> None:
    Path("train.py").write_text(ODD)
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_my_script")
    done = commands.run(*SWEEP, "--budget", "10", timeout=300)
    assert "Traceback" not in done.stderr + done.stdout
    runs = check_budget(commands, folder)
    lost = sum(record.attempts_lost for record in folder.load_state().stages_completed)
    assert lost <= 1, "the training that deletes the folder of all takes none but the one beside it with it"
    assert {run.state for run in runs} == {"finished"}
    assert all(isinstance(run.summary["score"], float) for run in runs)
    check_clean(commands, folder, done.stderr, done.stdout)
    assert "Traceback" not in commands.run("report", folder.name).stderr
    assert "x" in commands.run("best", folder.name).stdout


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_trainings_that_ignore_every_signal_end_with_ctrl_c(commands: CommandLine, workplace: Path) -> None:
    Path("train.py").write_text(STUBBORN)
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_my_script")
    with commands.start(*SWEEP, "--budget", "10") as driver:
        wait_for(lambda: len(list(workplace.glob("stubborn-*"))) == 2)
        assert len(list_trainings(folder)) >= 2
        driver.send_signal(signal.SIGINT)
        assert driver.wait(90) == 130
    (log,) = workplace.glob("command-*.log")
    check_clean(commands, folder, log.read_text())
    Path("go").touch()
    done = commands.run("resume", folder.name)
    runs = check_budget(commands, folder, lost=2)
    assert {run.state for run in runs} == {"finished"}
    check_clean(commands, folder, done.stderr, done.stdout)
