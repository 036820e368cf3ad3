"""A user's own training script: as W&B's agent would run it, and told plainly what is wrong with it."""

import ast
import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget

GOOD = """
import sys
import wandb
with wandb.init(name="a name", tags=["mine"], group="g", job_type="train", notes="all of them") as run:
    for step in range(3):
        run.log({"score": -(run.config["x"] - 0.3) ** 2 + 0.01 * step, "step": step})
    run.summary["argv"] = sys.argv[1:]
    run.summary["interpreter"] = sys.prefix
"""
FAILING = """
import wandb
wandb.init()
raise RuntimeError("the data set is not there")
"""
OTHER_METRIC = """
import wandb
with wandb.init() as run:
    run.log({"val/score": 1.0, "epoch": 1})
"""
UNTRACKED = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--track", action="store_true")
args = parser.parse_args()
if args.track:
    import wandb
    with wandb.init() as run:
        run.log({"score": args.x})
"""
SWEEP = ("my:script", "--program", "train.py", "--params", "x:0-1", "--budget", "10", "--metric", "score")


def test_a_script_is_swept(commands: CommandLine, workplace: Path) -> None:
    Path("train.py").write_text(GOOD)
    done = commands.run(*SWEEP, "--metric-value", "best", "--json")
    result = json.loads(done.stdout)
    assert (result["project"], result["status"]) == ("my", "completed")
    runs = check_budget(commands, SweepFolder(workplace / "runs" / "multistage_sweep_my_script"), lost=0)
    values = {run.config["x"]: run.summary for run in runs}
    assert result["best_config"]["x"] in values
    assert result["best_metric"] == max(summary["score"] for summary in values.values())
    for x, summary in values.items():
        assert summary["argv"] == [f"--x={x}"]
        assert Path(summary["interpreter"]).resolve() == Path(sys.prefix).resolve()


@pytest.mark.slow
def test_a_script_with_hyphens_and_switches_is_swept_by_its_style(commands: CommandLine, workplace: Path) -> None:
    shutil.copy(Path(__file__).parents[1] / "scripts" / "switches.py", "train.py")
    swept = "learning_rate:log:0.01-1,use_amp:[true|false],n_steps:int:1-8"
    typed = ("my:script", "--program", "train.py", "--style", "hyphen-switches", "--params", swept, "--budget", "10")
    asked = commands.run(*typed, code=2)
    assert asked.stderr.endswith("less is better: multistage-sweep " + shlex.join(typed) + " --metric KEY\n")
    done = commands.run(*typed, "--metric", "score", "--json")
    result = json.loads(done.stdout)
    runs = check_budget(commands, SweepFolder(workplace / "runs" / "multistage_sweep_my_script"), lost=0)
    taken = [ast.literal_eval(run.summary["taken"]) for run in runs]
    assert taken == [tuple(run.config[name] for name in ("learning_rate", "use_amp", "n_steps")) for run in runs]
    assert {use_amp for _, use_amp, _ in taken} == {True, False}
    assert result["best_metric"] == max(run.summary["score"] for run in runs)
    again = commands.run(*typed, "--name", "again", code=2)
    assert "in the sweep multistage_sweep_my_script train.py logged" in again.stderr
    assert again.stderr.endswith(" --name again --metric score\n")


def test_a_script_that_always_fails_ends_the_sweep_with_its_own_words(commands: CommandLine, workplace: Path) -> None:
    Path("train.py").write_text(FAILING)
    done = commands.run(*SWEEP, code=1)
    assert "RuntimeError: the data set is not there" in done.stderr
    assert "Traceback" not in done.stderr
    state = SweepFolder(workplace / "runs" / "multistage_sweep_my_script").load_state()
    assert (state.status, state.workers) == ("failed", ())
    assert "the data set is not there" in (state.ended_because or "")


@pytest.mark.slow
def test_a_metric_that_is_never_logged_is_asked_for_and_the_sweep_goes_on_with_another(
    commands: CommandLine, workplace: Path
) -> None:
    Path("train.py").write_text(OTHER_METRIC)
    done = commands.run(*SWEEP, code=1)
    assert "none logged the metric 'score'" in done.stderr
    assert "They logged: epoch, val/score." in done.stderr
    assert "Traceback" not in done.stderr
    command = done.stderr.partition("no run is trained again: ")[2].splitlines()[0]
    assert command.endswith("state.json --metric val/score")
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_my_script")
    [runs] = commands.list_runs(folder).values()
    trained = {run.run_id for run in runs if run.phase == "finished"}
    commands.run(*shlex.split(command)[1:])
    assert trained <= {run.run_id for run in check_budget(commands, folder)}
    state = folder.load_state()
    assert (state.metric_name, state.request.metric, state.status) == ("val/score", "val/score", "completed")
    refused = commands.run("--resume", str(folder.state_file), "--metric", "epoch", code=2)
    assert "A resume cannot change what the sweep is: metric was 'val/score'" in refused.stderr


@pytest.mark.slow
def test_a_script_that_never_begins_a_run_is_said_after_the_first_and_costs_no_slot(
    commands: CommandLine, workplace: Path
) -> None:
    script = Path("train.py")
    script.write_text(UNTRACKED)
    done = commands.run(*SWEEP, "--workers", "1", code=1)
    assert "never reached wandb.init. Its source asks for --track first" in done.stderr
    assert "Traceback" not in done.stderr
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_my_script")
    [runs] = commands.list_runs(folder).values()
    begun = [run for run in runs if run.state != "pending"]
    assert len(begun) == 1
    script.write_text(UNTRACKED.replace('action="store_true"', 'action="store_false"'))
    commands.run("--resume", str(folder.state_file))
    check_budget(commands, folder, lost=1)
    assert folder.load_state().status == "completed"
