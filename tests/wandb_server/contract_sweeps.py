"""What the contract's sweep tests share."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import wandb

from tests.wandb_server.wandb_clients import SCRIPTS

FUNCTION_AGENT = """
import sys, wandb
from wandb.agents import pyagent
pyagent.Agent.HEARTBEAT_SLEEP_SECONDS = 0.1
def train():
    with wandb.init() as run:
        {body}
wandb.agent(sys.argv[1], function=train, count=int(sys.argv[2]))
"""


def make_sweep(api: Any, project: str, mode: str = "finish", **changes: Any) -> Any:
    """A sweep of the test's training; a change to None takes a key away."""
    config = {
        "program": str(SCRIPTS / "train.py"),
        "command": ["${env}", "python", "${program}", f"--mode={mode}", "${args}"],
        "method": "custom",
        "scheduler": {"engine": "none"},
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"lr": {"min": 0.0, "max": 1.0}},
        **changes,
    }
    if config["method"] != "custom":
        del config["scheduler"]
    name = wandb.sweep({key: value for key, value in config.items() if value is not None}, project=project)
    return api.sweep(f"{api.default_entity}/{project}/{name}")


def list_runs(api: Any, sweep: Any, **filters: Any) -> list[Any]:
    """The runs of a sweep as they are now, oldest first."""
    api.flush()
    path = "/".join(sweep.path[:2])
    return list(api.runs(path, filters={"sweep": sweep.id, **filters}, lazy=False))


def get_path(sweep: Any) -> str:
    """ENTITY/PROJECT/SWEEP."""
    return "/".join(sweep.path)


def get_state(sweep: Any) -> str:
    """The sweep's state as it is now."""
    sweep.load(force=True)
    return str(sweep.state)


def run_function_agent(
    environment: dict[str, str], folder: Path, sweep: Any, count: int, body: str = "run.log({'score': 1.0})"
) -> None:
    """W&B's agent with a function, for so many runs."""
    done = subprocess.run(
        [sys.executable, "-c", FUNCTION_AGENT.format(body=body), get_path(sweep), str(count)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
