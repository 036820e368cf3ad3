"""A W&B sweep file as the start of a sweep: its parameters in this project's kinds, and the rest of what it says."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Goal, Value
from multistage.domain.space.choices import needs_telling_apart
from multistage.domain.space.distributions import BELL, BETA, CHOICE, SweepParameter, parse_parameters
from multistage.domain.space.layout import Place, encode_value, is_plain
from multistage.domain.space.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.sweep_config import Method, read_plan
from multistage.errors import SpaceError

TAILS = 0.025
"""Share of an unbounded distribution that is cut off at each end: the range is its central 95%."""
CONFIG_ID_FLAG = "--config_id"
"""In a trainer's command, what comes before its config id."""


class SweepFile(Model):
    """What a sweep file says."""

    space: SearchSpace
    fixed: Config
    """Constants, by name; lists and the like as JSON texts."""
    layout: dict[str, Place]
    """Places of what is nested or no plain value."""
    notes: tuple[str, ...]
    """What is searched otherwise than the file's words say, a sentence each."""
    method: Method | None
    """None for ``custom``, or where a scheduler of the file's own proposes."""
    metric: str | None
    goal: Goal
    early_terminate: dict[str, Any] | None
    program: str | None
    command: tuple[str, ...]
    size: int | None
    """Runs of the file's grid, where its method is one."""
    run_cap: int | None
    entity: str | None
    project: str | None


def read_sweep_file(content: Mapping[str, Any]) -> SweepFile:
    """Read a sweep file's content.

    Raises:
        SpaceError: If it cannot be searched; says what W&B's server on this machine says of it.
    """
    plan = read_plan(content)
    parameters = parse_parameters(content.get("parameters"))
    swept: list[Parameter] = []
    fixed: Config = {}
    layout: dict[str, Place] = {}
    notes: list[str] = []
    for one in parameters:
        plain = all(is_plain(value) for value in one.values) and not needs_telling_apart(one.values)
        is_json = not one.is_range and not plain
        notes += one.notes
        if is_json or len(one.path) > 1:
            layout[one.name] = Place(path=one.path, is_json=is_json)
        if len(one.values) == 1:
            fixed[one.name] = encode_value(one.values[0]) if is_json else one.values[0]
        else:
            parameter, note = _map_parameter(one, is_json)
            swept.append(parameter)
            notes += [note] if note else []
    try:
        space = SearchSpace(parameters=tuple(swept))
    except ValidationError as error:
        raise SpaceError(_read_reason(error), "Give it a range or values, each parameter once.") from None
    size = 1
    for one in parameters:
        size *= len(one.values)
    return SweepFile(
        space=space,
        fixed=fixed,
        layout=layout,
        notes=tuple(notes),
        method=plan.method,
        metric=plan.metric,
        goal=plan.goal,
        early_terminate=content.get("early_terminate"),
        program=_read_text(content, "program"),
        command=_read_command(content),
        size=size if plan.method == "grid" else None,
        run_cap=plan.run_cap,
        entity=_read_text(content, "entity"),
        project=_read_text(content, "project"),
    )


def find_config_id(command: Any) -> str | None:
    """Find the config id in a command that hands one on; None where it does not."""
    if isinstance(command, Sequence) and not isinstance(command, str) and CONFIG_ID_FLAG in command[:-1]:
        return str(command[command.index(CONFIG_ID_FLAG) + 1])
    return None


def name_config_id(content: Mapping[str, Any]) -> str | None:
    """Return the config id that a sweep file trains: its command's, else the file's own name for itself."""
    name = content.get("name") or content.get("project")
    return find_config_id(content.get("command")) or (str(name) if name else None)


def _map_parameter(one: SweepParameter, is_json: bool) -> tuple[Parameter, str]:
    try:
        if one.kind in CHOICE:
            choices = tuple(encode_value(value) if is_json else value for value in one.values)
            note = f"The probabilities of {one.name} are not used: its values start alike." if one.weights else ""
            return CategoricalParameter(name=one.name, choices=choices), note
        return _map_range(one)
    except ValidationError as error:
        raise SpaceError(_read_reason(error), f"Fix the parameter {one.name}.") from None


def _map_range(one: SweepParameter) -> tuple[Parameter, str]:
    log = "log" in one.kind
    note = ""
    if one.kind in BELL | BETA:
        low, high = _clean(one, one.pick(TAILS)), _clean(one, one.pick(1 - TAILS))
        note = f"{one.name} ({one.kind}) is searched from {low:g} to {high:g}, the central 95% of its distribution."
    else:
        low, high = sorted((_clean(one, one.pick(0.0)), _clean(one, one.pick(1.0))))
        if one.kind in ("log_uniform", "q_log_uniform", "inv_log_uniform"):
            note = f"{one.name} ({one.kind}) has exponents as bounds: it is searched from {low:g} to {high:g}."
    if one.kind == "int_uniform":
        return IntParameter(name=one.name, low=int(low), high=int(high)), note
    if one.step is None:
        return FloatParameter(name=one.name, low=low, high=high, scale="log" if log else "linear"), note
    if one.step == 1:
        return IntParameter(name=one.name, low=int(low), high=int(high), scale="log" if log else "linear"), note
    return FloatParameter(name=one.name, low=low, high=high, scale="log" if log else "linear", step=one.step), note


def _clean(one: SweepParameter, value: Value) -> float:
    """Drop the digits in which the exponential of a logarithm differs from the number that was written."""
    return float(f"{value:.12g}") if one.step is None else float(value)


def _read_text(content: Mapping[str, Any], key: str) -> str | None:
    value = content.get(key)
    if value is None or isinstance(value, str):
        return value or None
    raise SpaceError(f"The sweep has the {key} {value!r}.", "Write it as text.")


def _read_command(content: Mapping[str, Any]) -> tuple[str, ...]:
    command = content.get("command")
    if command is None:
        return ()
    if isinstance(command, str) or not isinstance(command, Sequence) or not command:
        raise SpaceError(f"The sweep has the command {command!r}.", "Write it as a list of its words.")
    return tuple(str(part) for part in command)


def _read_reason(error: ValidationError) -> str:
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
