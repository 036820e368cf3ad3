"""Sweeps: find, create, fill and end them."""

import base64
import binascii
import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from wandb.apis.public.sweeps import (
    Sweep,
    SweepState,
    _get_sweep_state,
    _set_sweep_state,
    _sweep_with_runs,
    _upsert_sweep,
)
from wandb.errors import CommError

from multistage.domain.runs.results import Config
from multistage.domain.space.layout import Layout, decode_value, nest_config, nest_specs
from multistage.domain.space.parameters import Parameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import AdoptedSweep, StagePlan, SweepSettings
from multistage.domain.sweep.sweep_config import OWN_SCHEDULER, parse_config
from multistage.domain.workers.styles import BUNDLED_PROGRAM
from multistage.errors import TrackerError, UsageError
from multistage.wandb_client.connection import Connection

logger = logging.getLogger(__name__)

DELETED = "DELETED"
"""What a sweep is that is not there any more; no word of W&B's."""
ENDED = ("FINISHED", "CANCELED", DELETED)
"""States in which a sweep takes no runs."""
NOTHING_NESTED: Layout = MappingProxyType({})


def describe_parameter(parameter: Parameter) -> dict[str, Any]:
    """Return a parameter in the words of a W&B sweep's config."""
    match parameter.kind:
        case "categorical":
            return {"values": list(parameter.choices)}
        case "power_of_two":
            return {"values": parameter.grid(parameter.high.bit_length())}
        case "int":
            bounds = {"min": parameter.low, "max": parameter.high}
            if parameter.scale == "log":  # a step that is written out as a whole number keeps the values whole
                return {"distribution": "q_log_uniform_values", **bounds, "q": 1}
            return {"distribution": "int_uniform", **bounds}
        case "float":
            scale = "log_uniform_values" if parameter.scale == "log" else "uniform"
            if parameter.step is not None:
                return {"distribution": f"q_{scale}", "min": parameter.low, "max": parameter.high, "q": parameter.step}
            return {"distribution": scale, "min": parameter.low, "max": parameter.high}


def build_sweep_config(settings: SweepSettings, stage: StagePlan, box: SearchSpace, name: str) -> dict[str, Any]:
    """Build the config of a stage's sweep.

    Where this project proposes, it is ``method: custom`` with a ``scheduler`` section, W&B's form of a sweep whose runs
    a client enqueues. Else W&B's engine proposes within the box, and ``run_cap`` bounds it.

    Args:
        settings: The sweep's settings.
        stage: The stage.
        box: The ranges that the stage searches.
        name: Unique name, by which a resume finds the sweep again.
    """
    if settings.definition is not None:
        return {**settings.definition, "name": name, "run_cap": stage.runs}
    config: dict[str, Any] = {
        "name": name,
        "metric": {"name": settings.metric, "goal": settings.goal},
        "program": settings.program or BUNDLED_PROGRAM,
    }
    if settings.command:
        config["command"] = list(settings.command)
    if settings.early_terminate is not None and stage.stage > 1:
        config["early_terminate"] = settings.early_terminate
    swept: dict[str, dict[str, Any]] = {parameter.name: describe_parameter(parameter) for parameter in box.parameters}
    match settings.proposer:
        case "server":
            if stage.method == "grid":
                swept = {
                    parameter.name: {"values": parameter.grid(settings.grid_resolution)} for parameter in box.parameters
                }
            config |= {"method": stage.method, "run_cap": stage.runs}
        case "ours":
            scheduler = {"name": OWN_SCHEDULER, "engine": "custom", "runs": stage.runs}
            config |= {"method": "custom", "scheduler": scheduler}
    specs = {key: {"value": decode_value(key, value, settings.layout)} for key, value in settings.fixed.items()}
    for key, spec in swept.items():
        if "values" in spec:
            spec = {"values": [decode_value(key, value, settings.layout) for value in spec["values"]]}
        specs[key] = spec
    config["parameters"] = nest_specs(specs, settings.layout)
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


def create_sweep(connection: Connection, config: Mapping[str, Any], prior_runs: Sequence[str] = ()) -> str:
    """Create a sweep and give its id.

    Args:
        connection: Where to create it.
        config: From `build_sweep_config`.
        prior_runs: Ids of runs that W&B's engine may learn from.
    """
    sweep, _ = connection.call(
        _upsert_sweep,
        connection.api,
        dict(config),
        entity=connection.entity,
        project=connection.project,
        prior_runs=list(prior_runs) or None,
    )
    return str(sweep["name"])


def open_sweep(connection: Connection, sweep_id: str) -> Sweep:
    """Open a sweep to enqueue runs in it."""
    sweep: Sweep = connection.call(connection.api.sweep, f"{connection.path}/{sweep_id}")
    return sweep


def enqueue_run(
    connection: Connection, sweep: Sweep, name: str, config: Config, fixed: Config, layout: Layout = NOTHING_NESTED
) -> str | None:
    """Queue a run in a sweep: the next free agent takes it.

    Args:
        connection: Where the sweep is.
        sweep: From `open_sweep`.
        name: The run's display name.
        config: Its swept hyperparameters, and its seed where the training takes one.
        fixed: Settings that every run is trained with.
        layout: Where they stand in the run's config.

    Returns:
        The run's id; None where the server's answer does not tell it, so that the run has to be looked up.
    """
    values = {key: {"value": value} for key, value in nest_config(fixed | config, layout).items()}
    return decode_run_id(connection.call(sweep.enqueue_run, values, display_name=name))


def decode_run_id(answer: str) -> str | None:
    """Read a run's id out of what a server answers to an enqueued run.

    Args:
        answer: The id itself, as the client's documentation has it, or a node id: base64 of
            ``Run:v1:<id>:<project>:<entity>``.

    Returns:
        The id; None where it is a node id of another form, so that the run has to be looked up.
    """
    try:
        decoded = base64.b64decode(answer, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return answer
    kind, _, rest = decoded.partition(":")
    if kind != "Run":
        return answer
    parts = rest.split(":")
    return parts[1] if len(parts) == 4 and parts[0] == "v1" and parts[1] else None


def read_sweep_state(connection: Connection, sweep_id: str) -> str:
    """Read a sweep's state: PENDING, RUNNING, PAUSED, FINISHED, CANCELED, or DELETED where it is not there."""
    try:
        return connection.call(
            _get_sweep_state, connection.api, sweep_id, entity=connection.entity, project=connection.project
        )
    except TypeError:  # the client looks for the state in an answer without a sweep
        return DELETED


class FoundSweep(NamedTuple):
    """A sweep as the server holds it."""

    config: dict[str, Any]
    state: str
    node_id: str


def read_sweep(connection: Connection, sweep_id: str) -> FoundSweep:
    """Read a sweep's config and state.

    Raises:
        UsageError: If there is no such sweep.
    """

    def look() -> dict[str, Any]:
        try:
            return _sweep_with_runs(
                connection.api, sweep_id, "{}", entity=connection.entity, project=connection.project
            )
        except CommError as error:
            if not str(error).endswith("not found"):
                raise
            raise UsageError(
                f"There is no sweep {connection.path}/{sweep_id} on {connection.base_url}.",
                "The address of its page has its entity, project and id.",
            ) from error

    found = connection.call(look)
    return FoundSweep(parse_config(found["config"]), found["state"], found["id"])


def cap_runs(connection: Connection, sweep_id: str, cap: int | None) -> None:
    """Bound the runs that W&B's engine proposes in a sweep; None takes the bound away."""
    _change_config(connection, sweep_id, {"run_cap": cap})


def take_up_sweep(connection: Connection, sweep_id: str, config: Mapping[str, Any]) -> None:
    """Plan a sweep that is there already anew: the budget may have grown since, and the metric be another.

    Args:
        connection: Where it is.
        sweep_id: The sweep.
        config: What it would be created with.
    """
    _change_config(connection, sweep_id, {key: config[key] for key in ("run_cap", "scheduler") if key in config})
    try:
        _change_config(connection, sweep_id, {key: config[key] for key in ("metric",) if key in config})
    except TrackerError as error:
        logger.warning("The page of sweep %s keeps the metric that it was created with: %s", sweep_id, error)


def _change_config(connection: Connection, sweep_id: str, changes: Mapping[str, Any]) -> None:
    """Change entries of a sweep's config; None takes one away."""
    found = read_sweep(connection, sweep_id)
    if all(found.config.get(key) == value for key, value in changes.items()):
        return
    config = {key: value for key, value in {**found.config, **changes}.items() if value is not None}
    connection.call(
        _upsert_sweep, connection.api, config, obj_id=found.node_id, entity=connection.entity,
        project=connection.project,
    )  # fmt: skip


def end_sweep(connection: Connection, sweep_id: str, adopted: AdoptedSweep | None = None) -> None:
    """End a stage's sweep; one that was there before is left as it was found."""
    if adopted is None:
        finish_sweep(connection, sweep_id)
        return
    cap_runs(connection, sweep_id, adopted.run_cap)
    if adopted.state not in ENDED:
        reopen_sweep(connection, sweep_id)
    else:
        finish_sweep(connection, sweep_id)


def finish_sweep(connection: Connection, sweep_id: str) -> None:
    """End a sweep: running runs finish, agents leave. Does nothing to a sweep that has ended."""
    if read_sweep_state(connection, sweep_id) not in ENDED:
        _put_state(connection, sweep_id, "FINISHED")


def reopen_sweep(connection: Connection, sweep_id: str) -> None:
    """Let a sweep that has ended take runs again. Does nothing to one that has not, or is not there any more."""
    if read_sweep_state(connection, sweep_id) in ("FINISHED", "CANCELED"):
        _put_state(connection, sweep_id, "RUNNING")


def _put_state(connection: Connection, sweep_id: str, state: SweepState) -> None:
    def put() -> None:
        try:
            _set_sweep_state(connection.api, sweep_id, state, entity=connection.entity, project=connection.project)
        except Exception as error:  # the client raises no other kind where the server was quicker
            if not str(error).startswith("Sweep already"):
                raise

    connection.call(put)
