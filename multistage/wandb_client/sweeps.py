"""Sweeps: find, create, fill and end them."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import wandb
from wandb.apis.public.sweeps import Sweep, _get_sweep_state, _set_sweep_state

from multistage.domain.plan import SweepSettings
from multistage.domain.results import Config, Value
from multistage.domain.space import Parameter
from multistage.wandb_client.connection import Connection

SCHEDULER_NAME = "multistage-sweep"
BUNDLED_PROGRAM = "multistage.training"


def describe_parameter(parameter: Parameter) -> dict[str, Any]:
    """Give a parameter in the words of a W&B sweep's config."""
    match parameter.kind:
        case "categorical":
            return {"values": list(parameter.choices)}
        case "power_of_two":
            return {"values": parameter.grid(parameter.high.bit_length())}
        case "int":
            scale = "q_log_uniform_values" if parameter.scale == "log" else "int_uniform"
            return {"distribution": scale, "min": parameter.low, "max": parameter.high}
        case "float":
            scale = "log_uniform_values" if parameter.scale == "log" else "uniform"
            return {"distribution": scale, "min": parameter.low, "max": parameter.high}


def build_sweep_config(
    settings: SweepSettings, name: str, parameters: Sequence[Parameter], runs: int
) -> dict[str, Any]:
    """Build the config of a stage's sweep, whose runs are all enqueued by this project.

    ``method: custom`` with a ``scheduler`` section is W&B's form of a sweep whose suggestions come from a client.

    Args:
        settings: The sweep's settings.
        name: Unique name, by which a resume finds the sweep again.
        parameters: The stage's box.
        runs: The stage's share of the budget.
    """
    swept = {parameter.name: describe_parameter(parameter) for parameter in parameters}
    constants = {key: {"value": value} for key, value in settings.fixed.items()}
    config: dict[str, Any] = {
        "name": name,
        "method": "custom",
        "metric": {"name": settings.metric, "goal": settings.goal},
        "parameters": constants | swept,
        "program": settings.program or BUNDLED_PROGRAM,
        "scheduler": {"name": SCHEDULER_NAME, "engine": "custom", "runs": runs},
    }
    if settings.command:
        config["command"] = list(settings.command)
    return config


def find_sweep(connection: Connection, name: str) -> str | None:
    """Look a sweep up by its unique name; None where the project has none of it, or does not exist yet."""
    try:
        sweeps = connection.call(_list_sweeps, connection)
    except ValueError:  # the client's word for a project that does not exist
        return None
    return next((sweep.id for sweep in sweeps if sweep.name == name), None)


def _list_sweeps(connection: Connection) -> list[Sweep]:
    return list(connection.api.project(connection.project, connection.entity).sweeps(per_page=200))


def create_sweep(connection: Connection, config: Mapping[str, Any]) -> str:
    """Create a sweep and give its id."""
    with contextlib.redirect_stdout(io.StringIO()):  # the client prints the id
        return connection.call(wandb.sweep, dict(config), entity=connection.entity, project=connection.project)


def open_sweep(connection: Connection, sweep_id: str) -> Sweep:
    """Open a sweep to enqueue runs in it."""
    sweep: Sweep = connection.call(connection.api.sweep, f"{connection.path}/{sweep_id}")
    return sweep


def enqueue_run(connection: Connection, sweep: Sweep, name: str, config: Config, fixed: Config) -> None:
    """Queue a run in a sweep: the next free agent takes it.

    Args:
        connection: Where the sweep is.
        sweep: From `open_sweep`.
        name: The run's display name.
        config: Its swept hyperparameters, and its seed where the training takes one.
        fixed: Settings that every run is trained with.
    """
    values: dict[str, dict[str, Value]] = {key: {"value": value} for key, value in (fixed | config).items()}
    connection.call(sweep.enqueue_run, values, display_name=name)


def finish_sweep(connection: Connection, sweep_id: str) -> None:
    """End a sweep: running runs finish, agents leave. Does nothing to a sweep that has ended."""
    where = {"entity": connection.entity, "project": connection.project}
    if connection.call(_get_sweep_state, connection.api, sweep_id, **where) in (
        "RUNNING",
        "PAUSED",
        "PENDING",
    ):
        connection.call(_set_sweep_state, connection.api, sweep_id, "FINISHED", **where)
