"""A sweep with an account: the server is W&B's, as far as the command line can tell, and either engine proposes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml

from multistage.domain.sweep.state import State
from multistage.errors import ServiceError
from multistage.services.sweep_pages import SweepPage, find_sweep_page
from multistage.store.sweep_folder import SweepFolder
from multistage.training.catalogue import TRAINERS
from tests.flows.command_line import CommandLine
from tests.server_process import ServerProcess

BUDGET = 12
FILE = {
    "method": "bayes",
    "metric": {"name": "val/accuracy", "goal": "maximize"},
    "command": list(TRAINERS["digits:mlp"].command),
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 0.0001, "max": 0.1},
        "hidden_size": {"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 1},
        "epochs": {"value": 3},
    },
}


@pytest.fixture
def account(wandb_server: ServerProcess) -> dict[str, str]:
    return {"WANDB_BASE_URL": wandb_server.url, "WANDB_API_KEY": wandb_server.key}


@pytest.fixture
def api(account: dict[str, str]) -> Iterator[wandb.Api]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.items():
            patch.setenv(name, value)
        yield wandb.Api(timeout=30)
        wandb.teardown()


def read_sweep(api: wandb.Api, state: State, stage: int) -> tuple[dict[str, Any], list[Any]]:
    """Return a stage's sweep as the tracker holds it: its config and its runs."""
    path = f"{state.entity}/{state.project}"
    sweep_id = state.stages_completed[stage - 1].sweep_id
    runs = api.runs(path, filters={"sweep": sweep_id}, lazy=False, per_page=100)
    return api.sweep(f"{path}/{sweep_id}").config, list(runs)  # type: ignore[no-untyped-call]


def check_page(commands: CommandLine, state: State, account: dict[str, str]) -> None:
    """The sweep's page is on this machine's own server, and leads to the tracker, whose key is no use there."""
    page = find_sweep_page(commands.settings, state.uid)
    assert page is not None
    assert state.page_url == page.address
    assert not page.address.startswith(account["WANDB_BASE_URL"])
    told = page.read()
    assert told is not None
    assert (told.status, told.used, len(told.runs)) == ("completed", BUDGET, BUDGET)
    site = f"{account['WANDB_BASE_URL']}/{state.entity}/{state.project}"
    assert told.run_base == site
    assert [stage.link for stage in told.stages] == [f"{site}/sweeps/{one.sweep_id}" for one in state.stages_completed]
    worker = SweepPage(address=page.address, driver_key=account["WANDB_API_KEY"])
    with pytest.raises(ServiceError, match="answers 401"):
        worker.send(told.model_dump_json().encode())


@pytest.mark.slow
def test_a_sweep_file_is_swept_by_the_gaussian_process(
    commands: CommandLine, account: dict[str, str], api: wandb.Api, workplace: Path
) -> None:
    file = workplace / "digits.yaml"
    file.write_text(yaml.safe_dump(FILE))
    asked = ("run", "--sweep-file", "digits.yaml", "--budget", str(BUDGET), "--name", "filed", "--project", "filed")
    done = commands.run(*asked, "--tracker", "wandb", "--search", "gp", variables=account)
    first = done.stdout.splitlines()[0]
    assert first == f"Tracker: W&B at {account['WANDB_BASE_URL']} as local, since WANDB_API_KEY is set."
    assert "MULTI-STAGE SWEEP COMPLETE!" in done.stdout
    folder = SweepFolder(workplace / "runs" / "filed")
    state = folder.load_state()
    assert (state.config_id, state.budget_used, state.status) == ("digits:mlp", BUDGET, "completed")
    for stage in (1, 2, 3):
        config, runs = read_sweep(api, state, stage)
        assert (config["method"], len(runs)) == ("custom", state.plan[stage - 1].runs)
        assert {(type(run.config["hidden_size"]), run.config["epochs"], run.state) for run in runs} == {
            (int, 3, "finished")
        }

    check_page(commands, state, account)

    file.unlink()
    again = commands.run("resume", "filed", variables=account)
    assert "MULTI-STAGE SWEEP COMPLETE!" in again.stdout
    file.write_text(yaml.safe_dump(FILE | {"metric": {"name": "train/loss"}}))
    changed = commands.run("run", "--sweep-file", "digits.yaml", "--resume", "filed", code=2, variables=account)
    assert "metric was 'val/accuracy' and would be 'train/loss'" in changed.stderr


@pytest.mark.slow
def test_wandbs_own_engine_narrows_in_wandbs_own_words(
    commands: CommandLine, account: dict[str, str], api: wandb.Api, workplace: Path
) -> None:
    done = commands.run(
        "digits:mlp", "--params", "learning_rate,hidden_size:int:8-40", "--budget", str(BUDGET), "--project", "engine",
        "--tracker", "wandb", "--search", "wandb", "--grid-resolution", "2", "--train-arg", "epochs=3", "--json",
        variables=account,
    )  # fmt: skip
    result = json.loads(done.stdout)
    assert (result["status"], result["budget_used"]) == ("completed", BUDGET)
    state = SweepFolder(workplace / "runs" / "multistage_sweep_digits_mlp").load_state()
    assert state.best_metric == result["best_metric"]

    config, runs = read_sweep(api, state, 1)
    assert (config["method"], config["run_cap"], len(runs)) == ("grid", 4, 4)
    assert config["parameters"]["learning_rate"] == {"values": [1e-5, 0.1]}
    assert "early_terminate" not in config
    for stage in (2, 3):
        config, runs = read_sweep(api, state, stage)
        assert (config["method"], config["run_cap"]) == ("bayes", state.plan[stage - 1].runs)
        assert len(runs) == config["run_cap"]
        assert config["early_terminate"] == {"type": "hyperband", "min_iter": 100}
        rate, size = config["parameters"]["learning_rate"], config["parameters"]["hidden_size"]
        assert rate["distribution"] == "log_uniform_values"
        assert [rate["min"], rate["max"]] == state.stages_completed[stage - 1].bounds["learning_rate"]
        assert {type(size["min"]), type(run_size := runs[0].config["hidden_size"])} == {int}, run_size
        assert all(run.config["hidden_size"] == int(run.config["hidden_size"]) for run in runs)
