"""Whatever is killed, and whenever: a resume ends with exactly the budget, and nothing is left running."""

import signal
import subprocess
import time
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, LogFilter
from prefect.states import Cancelling
from wandb.apis.public.sweeps import _set_sweep_state

from multistage.services.sweep_pages import find_sweep_page
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget, count_used, wait_for
from tests.flows.victims import list_trainings, list_workers

BUDGET = 10
SWEEP = ("digits:mlp", "--params", "learning_rate,hidden_size:[8|32]", "--budget", str(BUDGET), "--workers", "2")
LONG = ("--train-arg", "epochs=40")

GATED = """
import time
from pathlib import Path
import wandb
run = wandb.init()
while not Path("go").exists():
    time.sleep(0.02)
run.log({"score": run.config["x"]})
run.finish()
"""
"""Trains until there is a file "go": its stage stands still however fast the machine is."""
GATED_SWEEP = ("my:script", "--program", "train.py", "--params", "x:0-1", "--metric", "score", "--name", "gated")


@pytest.fixture
def folder(workplace: Path) -> SweepFolder:
    return SweepFolder(workplace / "runs" / "multistage_sweep_digits_mlp")


@pytest.fixture
def gated(workplace: Path) -> SweepFolder:
    """The folder of `GATED_SWEEP`, whose script is put beside it."""
    (workplace / "train.py").write_text(GATED)
    return SweepFolder(workplace / "runs" / "gated")


def start_gated(commands: CommandLine) -> AbstractContextManager["subprocess.Popen[str]"]:
    return commands.start(*GATED_SWEEP, "--budget", str(BUDGET), "--workers", "2")


def wait_for_trainings(folder: SweepFolder) -> None:
    """Wait until both workers of `GATED_SWEEP` train, and its stage's sweep is known."""
    wait_for(lambda: len(list_trainings(folder)) >= 2 and folder.load_state().current_stage)


def test_the_orchestrator_is_killed_and_a_resume_goes_on(commands: CommandLine, folder: SweepFolder) -> None:
    with commands.start(*SWEEP, *LONG) as driver:
        wait_for(lambda: count_used(folder) >= 1)
        driver.kill()
        driver.wait()
    before = folder.load_state()
    assert before.status == "running"
    assert before.budget_used < BUDGET
    assert list_workers(folder), "workers outlive the driver"
    assert f"multistage-sweep resume {folder.name}" in commands.run("status", folder.name).stdout
    done = commands.run("--resume", str(folder.state_file))
    assert "MULTI-STAGE SWEEP COMPLETE!" in done.stdout
    check_budget(commands, folder)
    assert folder.load_state().uid == before.uid


def test_a_training_is_killed_and_its_slot_is_trained_again(commands: CommandLine, folder: SweepFolder) -> None:
    with commands.start(*SWEEP, *LONG, "--goal", "minimize", "--metric", "train/loss") as driver:
        victim = wait_for(lambda: list_trainings(folder))[0]
        victim.kill()
        assert driver.wait(150) == 0
    runs = check_budget(commands, folder, lost=1)
    state = folder.load_state()
    _, log = commands.read_flow_run(state.flow_run_id)
    (told,) = [line for line in log if "was lost to the machine; its config is trained again" in line]
    assert told.startswith("WARNING Run ")
    assert (state.goal, state.params["hidden_size"]) == ("minimize", [8, 32])
    assert state.best_metric == min(run.summary["train/loss"] for run in runs)
    assert {run.config["hidden_size"] for run in runs} == {8, 32}


@pytest.mark.slow
def test_a_paused_sweep_waits_and_goes_on_when_it_is_resumed(commands: CommandLine, folder: SweepFolder) -> None:
    more = [word if word != str(BUDGET) else "20" for word in SWEEP]
    with commands.start(*more, *LONG, "--worker-idle", "2") as driver:
        wait_for(lambda: count_used(folder) >= 1)
        state = folder.load_state()
        assert state.current_stage is not None
        assert state.current_stage.sweep_id is not None
        with commands.open_tracker() as api:
            turn = partial(
                _set_sweep_state, api, state.current_stage.sweep_id, entity=state.entity, project=state.project
            )
            turn(state="PAUSED")
            (log,) = Path.cwd().glob("command-*.log")
            wait_for(lambda: "stage 1 is paused" in log.read_text())
            wait_for(lambda: not list_workers(folder))
            assert driver.poll() is None
            turn(state="RUNNING")
        assert driver.wait(150) == 0
    check_budget(commands, folder, lost=0)
    with commands.open_prefect() as client:
        assert any("stage 1 is paused" in log.message for log in client.read_logs(LogFilter(level={"ge_": 30})))


def test_ctrl_c_ends_everything_within_seconds_and_the_printed_command_goes_on(
    commands: CommandLine, gated: SweepFolder, workplace: Path
) -> None:
    folder = gated
    with start_gated(commands) as driver:
        wait_for_trainings(folder)
        processes = list_workers(folder)

        refused = commands.run("--resume", str(folder.state_file), code=2)
        assert f"Process {driver.pid} is already driving" in refused.stderr
        assert "is live" in commands.run("down", code=2).stderr
        assert all(process.is_running() for process in processes), "a refused command ended the sweep's workers"

        driver.send_signal(signal.SIGINT)
        asked_at = time.monotonic()
        assert driver.wait(30) == 130
        _, alive = psutil.wait_procs(processes, timeout=max(0.0, asked_at + 10 - time.monotonic()))
        assert not alive
    (log,) = workplace.glob("command-*.log")
    assert "Traceback" not in log.read_text()
    (line,) = [line for line in log.read_text().splitlines() if "Resume with: " in line]
    state = folder.load_state()
    assert (state.status, state.workers) == ("stopped", ())
    check_cancelled(commands, folder)
    page = find_sweep_page(commands.settings, state.uid)
    assert page is not None
    told = page.read()
    assert told is not None
    assert (told.status, told.waits) == ("stopped", ())
    assert line.partition("Resume with: ")[2] == f"multistage-sweep resume {folder.name}"
    assert told.resume == folder.resume_command, "the page is read from any folder"

    ended = [run for runs in commands.list_runs(folder).values() for run in runs if run.phase != "queued"]
    assert {run.state for run in ended} == {"killed"}, "the tracker was not told that the trainings ended"
    Path("go").touch()
    commands.run(*line.partition("multistage-sweep ")[2].split())
    runs = check_budget(commands, folder, lost=len(ended))
    assert {run.state for run in runs} == {"finished"}


@pytest.mark.slow
def test_a_cancel_on_prefects_pages_is_told_within_seconds(commands: CommandLine, gated: SweepFolder) -> None:
    folder = gated
    with start_gated(commands) as driver:
        wait_for_trainings(folder)
        processes = list_workers(folder)
        run_id = folder.load_state().flow_run_id
        with commands.open_prefect() as client:  # as the button does
            client.set_flow_run_state(UUID(str(run_id)), Cancelling())
        asked_at = time.monotonic()
        wait_for(lambda: "--resume" in str(commands.read_flow_run(run_id)[0].state), every=0.2)
        (log,) = Path.cwd().glob("command-*.log")
        wait_for(lambda: "It is cancelled in Prefect" in log.read_text())
        assert time.monotonic() - asked_at < 5
        assert driver.wait(30) == 130
        assert not [process for process in processes if process.is_running()]
    check_cancelled(commands, folder)


def check_cancelled(commands: CommandLine, folder: SweepFolder) -> None:
    """Check that Prefect has an interrupted sweep as cancelled, and says how to go on."""
    told = f"Its workers and trainings were ended. Resume with: multistage-sweep --resume {folder.state_file}"
    parent = folder.load_state().flow_run_id
    stages = commands.list_stage_runs(parent)
    for run_id in (parent, stages[-1].id):
        run, log = commands.read_flow_run(run_id)
        assert run.state is not None
        assert (run.state.name, run.state.message) == ("Cancelled", f"Interrupted. {told}")
        assert f"WARNING Interrupted. {told}" in log
        assert not [line for line in log if "Crash" in line or "Traceback" in line or line.startswith("ERROR")]
    with commands.open_prefect() as client:
        steps = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[stages[-1].id])))
    assert {step.state_name for step in steps} == {"Completed", "Cancelled"}


@pytest.mark.slow
def test_down_by_force_ends_a_live_sweep_that_a_resume_takes_up(commands: CommandLine, gated: SweepFolder) -> None:
    folder = gated
    with start_gated(commands) as driver:
        wait_for_trainings(folder)
        processes = list_workers(folder)
        ended = commands.run("down", "--force").stdout
        assert f"Ended the sweep in {folder.path}" in ended
        assert driver.wait(30) == 130
        assert not [process for process in processes if process.is_running()]
    commands.run("up")
    check_cancelled(commands, folder)
    Path("go").touch()
    commands.run("resume", folder.name)
    check_budget(commands, folder)
