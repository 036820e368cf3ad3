"""Scripts that set wandb's variables themselves; an agent ignores arguments of `wandb.init`, but not these."""

import subprocess
import sys
from pathlib import Path

import pytest
import wandb

from tests.queued_sweeps import list_runs, queue_runs, write_script

MOVING = """
os.environ["{variable}"] = "elsewhere"
os.environ["WANDB_RUN_GROUP"] = "mine"
os.environ["WANDB_TAGS"] = "one,two"
with wandb.init() as run:
    run.log({{"score": run.config["x"]}})
    run.save("train.py", policy="now")
"""


@pytest.mark.parametrize("variable", ["WANDB_PROJECT", "WANDB_ENTITY"])
def test_a_run_counts_wherever_its_script_sends_it(
    api: wandb.Api, tracker: dict[str, str], workplace: Path, variable: str
) -> None:
    script = write_script(workplace / "train.py", MOVING.format(variable=variable))
    sweep = queue_runs(api, script.name, [{"x": 1}, {"x": 2}], planned=2)
    command = [sys.executable, "-m", "multistage.worker", "--sweep", sweep, "--idle", "1"]
    done = subprocess.run(command, env=tracker, cwd=workplace, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    runs = list_runs(sweep)
    assert {name: (run.state, run.summary["score"]) for name, run in runs.items()} == {
        "run-0": ("finished", 1),
        "run-1": ("finished", 2),
    }
    assert all((run.group, sorted(run.tags)) == ("mine", ["one", "two"]) for run in runs.values())
    assert all("train.py" in {file.name for file in run.files()} for run in runs.values())
    assert "elsewhere" not in {project.name for project in api.projects()}
