"""What a training script, an agent, a notebook and a terminal do, with whatever client is installed.

Prints, as JSON, what went wrong with each thing that is done; empty for nothing.
"""

import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What clients and agents put into this process's environment is no terminal's.
TERMINAL = {name: value for name, value in os.environ.items() if name != "WANDB_SILENT"}

import wandb  # noqa: E402

PROJECT = "v" + wandb.__version__.replace(".", "-")
SWEEP = {
    "method": "grid",
    "metric": {"name": "x", "goal": "minimize"},
    "parameters": {"lr": {"values": [1, 2, 3]}},
}
PROGRAM = """
import wandb
with wandb.init() as run:
    run.log({"x": run.config["lr"]})
"""


def run_command(*arguments: str) -> str:
    """A command of the client's command line, as in a terminal of its own; gives what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "wandb", *arguments],
        env=TERMINAL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    printed = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    assert done.returncode == 0, f"{arguments}: {printed}"
    return printed


def log_and_read_back() -> None:
    with wandb.init(project=PROJECT, config={"lr": 1}) as run:
        for step in range(5):
            run.log({"x": step})
    found = wandb.Api().run(f"{PROJECT}/{run.id}")
    assert (found.state, found.summary["x"], found.config["lr"]) == ("finished", 4, 1)
    assert [row["x"] for row in found.scan_history(keys=["x"])] == list(range(5))
    assert len(found.history(pandas=False)) == 5


def list_runs() -> None:
    for lr in (1, 2, 3):
        with wandb.init(project=f"{PROJECT}-list", config={"lr": lr}, tags=["odd"] if lr % 2 else []) as run:
            run.log({"x": -lr})
    api = wandb.Api()
    found = api.runs(f"{PROJECT}-list", filters={"config.lr": {"$gt": 1}}, order="+summary_metrics.x")
    assert [run.config["lr"] for run in found] == [3, 2]
    assert {run.config["lr"] for run in api.runs(f"{PROJECT}-list", filters={"tags": "odd"})} == {1, 3}


def resume() -> None:
    with wandb.init(project=PROJECT) as run:
        run.log({"x": 4})
    with wandb.init(project=PROJECT, id=run.id, resume="must") as again:
        assert again.summary["x"] == 4
        again.log({"x": 9})
    found = wandb.Api().run(f"{PROJECT}/{run.id}")
    assert [row["x"] for row in found.scan_history(keys=["x"])] == [4, 9]


def save_files() -> None:
    Path("notes.txt").write_text("of a run")
    with wandb.init(project=PROJECT) as run:
        run.save("notes.txt", base_path=str(Path.cwd()))
    wandb.Api().run(f"{PROJECT}/{run.id}").file("notes.txt").download(root="saved")
    assert Path("saved/notes.txt").read_text() == "of a run"


def log_and_use_artifacts() -> None:
    Path("f.txt").write_text("a")
    with wandb.init(project=PROJECT) as run:
        artifact = wandb.Artifact("m", type="model")
        artifact.add_file("f.txt")
        run.log_artifact(artifact, aliases=["good"])
        artifact.wait()
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
    assert [one.name for one in api.artifact_type("model", PROJECT).collections()] == ["m"]
    assert [one.name for one in api.run(f"{PROJECT}/{run.id}").logged_artifacts()] == ["m:v0"]
    assert [one.name for one in api.run(f"{PROJECT}/{user.id}").used_artifacts()] == ["m:v0"]


def log_tables() -> None:
    with wandb.init(project=PROJECT) as run:
        run.log({"table": wandb.Table(columns=["a"], data=[[1], [2]])})
    found = wandb.Api().artifact(f"{PROJECT}/run-{run.id}-table:latest")
    assert found.get("table").data == [[1], [2]]


def sweep_with_an_agent() -> None:
    sweep = wandb.sweep(SWEEP, project=PROJECT)
    seen = []

    def train() -> None:
        with wandb.init() as run:
            seen.append(run.config["lr"])
            run.log({"x": run.config["lr"]})

    wandb.agent(sweep, function=train, project=PROJECT, count=3)
    assert sorted(seen) == [1, 2, 3]
    found = wandb.Api().sweep(f"{PROJECT}/{sweep}")  # type: ignore[no-untyped-call]
    assert (found.best_run().config["lr"], len(found.runs)) == (1, 3)


def sync_what_was_offline() -> None:
    with wandb.init(project=PROJECT, mode="offline", dir=str(Path.cwd()), config={"lr": 7}) as run:
        for step in range(3):
            run.log({"x": step})
    (folder,) = Path.cwd().glob(f"wandb/offline-run-*-{run.id}")
    printed = run_command("sync", str(folder))
    found = wandb.Api().run(f"{PROJECT}/{run.id}")
    seen = found.state, found.config.get("lr"), found.summary.get("x")  # type: ignore[no-untyped-call]
    assert seen == ("finished", 7, 2), (seen, printed)
    rows = found.scan_history(keys=["x"])
    assert [row["x"] for row in rows] == [0, 1, 2]


def sweep_from_the_terminal() -> None:
    Path("train.py").write_text(PROGRAM)
    Path("sweep.yaml").write_text(json.dumps({**SWEEP, "program": "train.py"}))
    made = re.search(r"wandb agent (\S+)", run_command("sweep", "--project", PROJECT, "sweep.yaml"))
    assert made is not None
    run_command("agent", "--count", "3", made.group(1))
    found = wandb.Api().sweep(made.group(1))  # type: ignore[no-untyped-call]
    assert sorted(run.summary["x"] for run in found.runs) == [1, 2, 3]
    run_command("sweep", "--stop", made.group(1))
    assert wandb.Api().sweep(made.group(1)).state == "FINISHED"  # type: ignore[no-untyped-call]


def artifacts_from_the_terminal() -> None:
    Path("g.txt").write_text("b")
    run_command("artifact", "put", "--name", f"{PROJECT}/cli", "--type", "dataset", "g.txt")
    assert "cli:" in run_command("artifact", "ls", PROJECT)
    run_command("artifact", "get", "--root", "got", f"{PROJECT}/cli:latest")
    assert Path("got/g.txt").read_text() == "b"


STEPS: dict[str, Callable[[], Any]] = {
    "`init`, `log`, reading back": log_and_read_back,
    "lists of runs by filter and order": list_runs,
    "resuming": resume,
    "files": save_files,
    "artifacts": log_and_use_artifacts,
    "tables": log_tables,
    "`wandb offline`, `wandb sync`": sync_what_was_offline,
    "`wandb sweep`, `wandb agent`": sweep_from_the_terminal,
    "`wandb artifact`": artifacts_from_the_terminal,
    "`wandb.sweep`, `wandb.agent`": sweep_with_an_agent,
}


def do_all() -> dict[str, str]:
    """Every step, whatever becomes of the others."""
    troubles = {}
    for what, step in STEPS.items():
        try:
            step()
        except Exception:
            troubles[what] = traceback.format_exc(limit=-3)
        else:
            troubles[what] = ""
    return troubles


sys.stdout.write(json.dumps(do_all()) + "\n")
sys.stdout.flush()
os._exit(0)  # Agents of some releases leave threads that wait for ever.
