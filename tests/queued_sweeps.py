"""Sweeps with queued runs, as the driver makes them, and what became of them."""

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import psutil
import wandb

from multistage.domain.runs.results import Value
from multistage.domain.sweep.sweep_config import OWN_SCHEDULER
from multistage.domain.workers.styles import BUNDLED_PROGRAM
from multistage.training.catalogue import find_trainer

Result = TypeVar("Result")

PROJECT = "work"


def queue_runs(
    api: wandb.Api,
    program: str | Path,
    configs: Sequence[Mapping[str, Value]],
    planned: int | None = None,
    command: Sequence[str] = (),
    project: str = PROJECT,
) -> str:
    """Create a sweep of a bundled trainer (by its config id) or a program (by its path); returns the sweep's path.

    Its config plans as many runs as it says, or says nothing of it.
    """
    trainer = find_trainer(str(program))
    definition: dict[str, Any] = {
        "method": "custom",
        "scheduler": {"engine": "custom"} | ({"name": OWN_SCHEDULER, "runs": planned} if planned else {}),
        "program": BUNDLED_PROGRAM if trainer else str(program),
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"seed": {"values": [0]}},
    }
    if trainer or command:
        definition["command"] = trainer.command if trainer else list(command)
    entity = api.default_entity
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # wandb's own, about its own helper
        path = f"{entity}/{project}/{wandb.sweep(definition, entity=entity, project=project)}"
    sweep = api.sweep(path)  # type: ignore[no-untyped-call]
    for index, config in enumerate(configs):
        sweep.enqueue_run({key: {"value": value} for key, value in config.items()}, display_name=f"run-{index}")
    return path


def list_all_runs(sweep: str) -> list[Any]:
    """The sweep's runs as the tracker has them now, whatever they call themselves."""
    project, _, sweep_id = sweep.rpartition("/")
    return list(wandb.Api().runs(project, filters={"sweep": sweep_id}, per_page=100))


def list_runs(sweep: str) -> dict[str, Any]:
    """The sweep's runs as the tracker has them now, by name."""
    return {run.name: run for run in list_all_runs(sweep)}


def read_rows(run: Any, *keys: str) -> list[tuple[Any, ...]]:
    """The values of some keys in every row of history that has them all, in order."""
    return [tuple(row[key] for key in keys) for row in run.scan_history(keys=list(keys))]


def wait_until(look: Callable[[], Result], what: str, timeout: float = 60.0) -> Result:
    """Look until there is something to be seen; returns it."""
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.05)
    return seen


def wait_for_state(sweep: str, name: str, *states: str, timeout: float = 60.0) -> Any:
    """Wait until a run has one of these states; returns it."""

    def look() -> Any:
        run = list_runs(sweep).get(name)
        return run if run is not None and run.state in states else None

    return wait_until(look, f"{name} in {states}", timeout)


def wait_for_row(sweep: str, name: str, key: str) -> Any:
    """Wait until a run's row has arrived, so that it trains for sure; returns the run."""

    def look() -> Any:
        run = list_runs(sweep).get(name)
        return run if run is not None and run.state == "running" and key in run.summary else None

    return wait_until(look, f"{key} of {name}")


def find_training(worker_pid: int) -> psutil.Process:
    """The one training process below a worker."""

    def look() -> list[psutil.Process]:
        children = psutil.Process(worker_pid).children()
        return [child for child in children if child.name() not in {"wandb-core", "wandb-symon"}]

    return wait_until(look, "a training below the worker")[0]


def is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def read_command(process: psutil.Process) -> str:
    """Its command line; empty once it has ended, reaped or not."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def write_script(path: Path, body: str) -> Path:
    """A training script of a user's own, which knows nothing of this project."""
    path.write_text(f"import os, sys, time\nimport wandb\n{body}")
    return path


def client_variables(tracker: dict[str, str]) -> dict[str, str]:
    """What the driver hands its launcher."""
    return {name: tracker[name] for name in tracker if name.startswith("WANDB_") or name == "HOME"} | {
        "PATH": os.environ["PATH"]
    }
