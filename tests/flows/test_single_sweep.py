"""One W&B sweep as one stage: from a file, and one that was there before."""

import json
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml

from multistage.store.sweep_folder import SweepFolder
from multistage.training.catalogue import TRAINERS
from tests.flows.command_line import CommandLine, count_used, wait_for
from tests.flows.victims import list_trainings, list_workers
from tests.server_process import ServerProcess

GRID: dict[str, Any] = {
    "method": "grid",
    "metric": {"name": "val/accuracy", "goal": "maximize"},
    "command": list(TRAINERS["digits:mlp"].command),
    "parameters": {
        "learning_rate": {"values": [0.001, 0.01, 0.1]},
        "hidden_size": {"values": [8, 32]},
        "epochs": {"value": 3},
    },
}


@pytest.fixture
def account(wandb_server: ServerProcess) -> Iterator[dict[str, str]]:
    account = {"WANDB_BASE_URL": wandb_server.url, "WANDB_API_KEY": wandb_server.key}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.items():
            patch.setenv(name, value)
        yield account
        wandb.teardown()


def read(path: str) -> tuple[Any, list[Any]]:
    """Return a sweep and its runs as the tracker holds them."""
    api = wandb.Api(timeout=30)
    project, _, sweep_id = path.rpartition("/")
    return api.sweep(path), list(api.runs(project, filters={"sweep": sweep_id}, lazy=False))  # type: ignore[no-untyped-call]


@pytest.mark.slow
def test_a_files_grid_is_run_to_its_bound_and_then_further(
    commands: CommandLine, account: dict[str, str], workplace: Path
) -> None:
    (workplace / "grid.yaml").write_text(yaml.safe_dump(GRID))
    done = commands.run("single", "grid.yaml", "--count", "4", "--project", "one", variables=account)
    assert done.stdout.startswith(f"Tracker: W&B at {account['WANDB_BASE_URL']}")
    assert "Warning: 4 runs are a part of the grid's 6 points" in done.stdout
    assert "MULTI-STAGE" not in done.stdout
    folder = SweepFolder(workplace / "runs" / "single_sweep_grid")
    state = folder.load_state()
    assert (state.status, state.budget_used, len(state.plan), state.config_id) == ("completed", 4, 1, "digits:mlp")
    path = f"{state.entity}/{state.project}/{state.stages_completed[0].sweep_id}"
    sweep, runs = read(path)
    assert (sweep.config["method"], sweep.config["run_cap"], sweep.state) == ("grid", 4, "FINISHED")
    assert sweep.config["parameters"] == GRID["parameters"]
    assert state.best_metric == max(run.summary["val/accuracy"] for run in runs)
    assert json.loads(commands.run("best", folder.name).stdout)["epochs"] == 3
    assert "4 of 4 runs" in commands.run("status", folder.name).stdout

    (workplace / "grid.yaml").unlink()
    more = commands.run("resume", folder.name, "--budget", "6", variables=account)
    assert "Total runs: 6" in more.stdout
    _, runs = read(path)
    points = {(run.config["learning_rate"], run.config["hidden_size"]) for run in runs}
    assert (len(runs), len(points), folder.load_state().budget_used) == (6, 6, 6)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("victim", ["orchestrator", "worker", "training"])
def test_whoever_is_killed_the_bound_holds_and_no_point_is_trained_twice(
    commands: CommandLine, account: dict[str, str], workplace: Path, victim: str
) -> None:
    long = GRID | {"parameters": GRID["parameters"] | {"epochs": {"value": 60}}}
    (workplace / "grid.yaml").write_text(yaml.safe_dump(long))
    folder = SweepFolder(workplace / "runs" / "single_sweep_grid")
    sweep = ("single", "grid.yaml", "--count", "6", "--workers", "2", "--project", f"killed-{victim}")
    with commands.start(*sweep, variables=account) as driver:
        wait_for(lambda: count_used(folder) >= 1 and list_trainings(folder))
        match victim:
            case "orchestrator":
                driver.kill()
            case "worker":
                list_workers(folder)[0].kill()
            case _:
                list_trainings(folder)[0].kill()
        assert driver.wait(200) == (-signal.SIGKILL if victim == "orchestrator" else 0)
    if victim == "orchestrator":
        commands.run("resume", folder.name, variables=account)
    state = folder.load_state()
    assert (state.status, state.budget_used) == ("completed", 6)
    _, runs = read(f"{state.entity}/{state.project}/{state.stages_completed[0].sweep_id}")
    assert len({(run.config["learning_rate"], run.config["hidden_size"]) for run in runs}) == len(runs) == 6
    lost = [run for run in runs if run.state != "finished"]
    assert len(lost) == state.stages_completed[0].attempts_lost <= (victim != "orchestrator"), "run_cap counts it too"


@pytest.mark.slow
def test_a_sweep_that_is_there_gets_more_runs_and_is_left_as_it_was(
    commands: CommandLine, account: dict[str, str], wandb_server: ServerProcess, workplace: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # wandb's own, about its own helper
        sweep_id = wandb.sweep(GRID | {"method": "random"}, entity="local", project="there")
    path = f"local/there/{sweep_id}"
    subprocess.run(
        [sys.executable, "-m", "multistage.worker", "--sweep", path, "--max-runs", "1"],
        env=wandb_server.environment, cwd=workplace, timeout=120, check=True, capture_output=True,
    )  # fmt: skip
    before, (first,) = read(path)
    done = commands.run("single", "--sweep-id", path, "--count", "3", "--json", variables=account)
    result = json.loads(done.stdout)
    assert (result["budget_used"], result["project"], result["status"]) == (3, "there", "completed")
    after, runs = read(path)
    assert len(runs) == 4
    assert (after.state, after.config) == (before.state, before.config) == ("RUNNING", before.config)
    assert first.id not in [top["run_id"] for top in result["stages_completed"][0]["top_configs"]]

    again = commands.run("single", "--sweep-id", path, "--count", "3", code=2, variables=account)
    assert "holds a sweep of digits:mlp already" in again.stderr
    nothing = commands.run("single", "--sweep-id", "local/there/nothing", "--count", "3", code=2, variables=account)
    assert "no sweep local/there/nothing" in nothing.stderr
