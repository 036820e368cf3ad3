"""What a training script, an agent and a notebook do, with whatever client is installed; prints what failed."""

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wandb

PROJECT = "v" + wandb.__version__.replace(".", "-")
STATE: dict[str, Any] = {}


def log_and_read_back() -> None:
    with wandb.init(project=PROJECT, config={"lr": 1}) as run:
        STATE["run"] = f"{PROJECT}/{run.id}"
        for step in range(5):
            run.log({"x": step})
    found = wandb.Api().run(STATE["run"])
    assert (found.state, found.summary["x"], found.config["lr"]) == ("finished", 4, 1)
    assert [row["x"] for row in found.scan_history(keys=["x"])] == list(range(5))
    assert len(found.history(pandas=False)) == 5


def resume() -> None:
    with wandb.init(project=PROJECT, id=STATE["run"].split("/")[1], resume="must") as run:
        assert run.summary["x"] == 4
        run.log({"x": 9})
    found = wandb.Api().run(STATE["run"])
    assert [row["x"] for row in found.scan_history(keys=["x"])] == [0, 1, 2, 3, 4, 9]


def log_and_use_artifacts() -> None:
    Path("f.txt").write_text("a")
    with wandb.init(project=PROJECT) as run:
        artifact = wandb.Artifact("m", type="model")
        artifact.add_file("f.txt")
        run.log_artifact(artifact, aliases=["good"])
        artifact.wait()
        run.log({"table": wandb.Table(columns=["a"], data=[[1], [2]])})
    with wandb.init(project=PROJECT) as user:
        user.use_artifact("m:good").download(root="down")
    assert Path("down/f.txt").read_text() == "a"
    api = wandb.Api()
    found = api.artifact(f"{PROJECT}/m:good")
    assert [file.name for file in found.files()] == ["f.txt"]
    found.description = "described"
    found.aliases.append("kept")
    found.save()
    assert wandb.Api().artifact(f"{PROJECT}/m:kept").description == "described"
    assert api.artifact(f"{PROJECT}/run-{run.id}-table:latest").get("table").data == [[1], [2]]
    assert [one.name for one in api.artifact_type("model", PROJECT).collections()] == ["m"]


def sweep_with_an_agent() -> None:
    sweep = wandb.sweep(
        {
            "method": "grid",
            "metric": {"name": "x", "goal": "minimize"},
            "parameters": {"lr": {"values": [1, 2, 3]}},
        },
        project=PROJECT,
    )
    seen = []

    def train() -> None:
        with wandb.init() as run:
            seen.append(run.config["lr"])
            run.log({"x": run.config["lr"]})

    wandb.agent(sweep, function=train, project=PROJECT, count=3)
    assert sorted(seen) == [1, 2, 3]
    found = wandb.Api().sweep(f"{PROJECT}/{sweep}")  # type: ignore[no-untyped-call]
    assert (found.best_run().config["lr"], len(found.runs)) == (1, 3)


failures = {}
STEPS: list[Callable[[], None]] = [log_and_read_back, resume, log_and_use_artifacts, sweep_with_an_agent]
for step in STEPS:
    try:
        step()
    except Exception:
        failures[step.__name__] = traceback.format_exc(limit=-3)
sys.stdout.write(json.dumps(failures) + "\n")
sys.stdout.flush()
os._exit(0)  # Agents of some releases leave threads that wait for ever.
