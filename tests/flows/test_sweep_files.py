"""A sweep file of a user's own script, and stages that a deadline ended."""

import json
from pathlib import Path

import pytest
import yaml

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget

SCRIPT = """
import wandb
with wandb.init() as run:
    config = dict(run.config)
    size = sum(config["layers"] or [0])
    run.log({"score": config["optimizer"]["lr"] * config["optimizer"]["momentum"] + size + config["noise"]})
"""
FILE = {
    "method": "random",
    "metric": {"name": "score", "goal": "minimize"},
    "program": "train.py",
    "parameters": {
        "optimizer": {
            "parameters": {
                "lr": {"distribution": "q_uniform", "min": 0.5, "max": 2.0, "q": 0.5},
                "momentum": {"value": 0.5},
            }
        },
        "layers": {"values": [[1, 2], [3], None]},
        "noise": {"distribution": "normal", "mu": 0.0, "sigma": 0.1},
    },
}
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


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["gp", "wandb"])
def test_a_script_gets_nested_values_and_lists_as_the_file_has_them(
    engine: str, commands: CommandLine, workplace: Path
) -> None:
    (workplace / "train.py").write_text(SCRIPT)
    (workplace / "own.yaml").write_text(yaml.safe_dump(FILE))
    done = commands.run("run", "--sweep-file", "own.yaml", "--budget", "10", "--search", engine, "--json")
    assert "central 95%" in done.stderr
    result = json.loads(done.stdout)
    assert (result["config_id"], result["budget_used"], result["status"]) == ("own", 10, "completed")
    assert result["params"]["layers"] == ["[1, 2]", "[3]", "null"]
    best = json.loads(commands.run("best", "multistage_sweep_own").stdout)
    assert best["optimizer"]["momentum"] == 0.5
    assert best["optimizer"]["lr"] in (0.5, 1.0, 1.5, 2.0)
    assert best["layers"] in ([1, 2], [3], None)


@pytest.mark.slow
def test_a_resume_goes_on_with_the_stages_that_a_deadline_ended(commands: CommandLine, workplace: Path) -> None:
    (workplace / "train.py").write_text(GATED)
    folder = SweepFolder(workplace / "runs" / "late")
    sweep = ("my:own", "--program", "train.py", "--params", "x:0-1", "--metric", "score", "--name", "late")
    commands.run(*sweep, "--budget", "10", "--workers", "2", "--stage-deadline", "4")
    state = folder.load_state()
    assert [record.cut_short for record in state.stages_completed] == ["deadline"] * 3
    assert (state.budget_used, state.ended_because) == (0, "stage 3's deadline")
    (workplace / "go").touch()
    commands.run("resume", "late", "--stage-deadline", "600")
    check_budget(commands, folder)
    assert folder.load_state().ended_because == "budget used"
