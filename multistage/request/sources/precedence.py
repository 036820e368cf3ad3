"""Where a sweep's parameters come from: the command line, the environment, ``multistage.toml``, defaults."""

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError, create_model
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from multistage.domain.model import Model
from multistage.domain.space.defaults import GUIDE_PARAMETERS
from multistage.domain.space.field_ranges import find_field_range
from multistage.domain.space.grammar import expand_params, parse_names
from multistage.domain.workers.styles import is_module_name
from multistage.errors import UsageError
from multistage.launchers.registry import list_groups
from multistage.options.catalogue import FILE_SAYS, LAUNCHERS, RIVALS, Groups, list_idle, list_names
from multistage.options.refusal import VARIABLE_PREFIX, spell_variable
from multistage.paths import expand_home
from multistage.request.sources.settings_file import (
    SETTINGS_FILE,
    Preferences,
    SettingsFile,
    build_preferences,
    build_settings,
    explain_mistake,
    parse_ranges,
    parse_settings,
)
from multistage.training.catalogue import find_trainer

SETTINGS_VARIABLE = f"{VARIABLE_PREFIX}SETTINGS"
"""Names another settings file than the current folder's."""
FLOW_RUN = "flow run"
"""What to call where a flow run's own parameters come from."""
RANGES_VARIABLE = f"{VARIABLE_PREFIX}RANGES"
ENVIRONMENT = "environment"
"""What to call where variables come from."""
TRACKER_VARIABLES = {"entity": "WANDB_ENTITY", "project": "WANDB_PROJECT"}


class GatheredParameters(Model):
    """A sweep's parameters, and where each came from."""

    parameters: dict[str, Any]
    """Those that are not left to a default, by the name of the flow's parameter."""
    sources: dict[str, str]
    """In words, by parameter."""
    notes: tuple[str, ...] = ()
    """What stands somewhere and is not taken, a sentence each."""


def gather_parameters(
    given: Mapping[str, Any],
    directory: Path,
    settings_file: Path | None = None,
    source: str = "command line",
    groups: Groups | None = None,
) -> GatheredParameters:
    """Fill in what was not given, from the environment and the settings file.

    Done again with its own result, it changes nothing.

    Args:
        given: Parameters of the parent flow by name; None stands for one that was not given.
        directory: Where the settings file is looked for.
        settings_file: Another one.
        source: What to call where ``given`` comes from.
        groups: The options that file and environment may set; by default also those of installed launchers.

    Raises:
        UsageError: The settings file that was named is not there, or it or a variable makes no sense.
    """
    groups = groups or list_groups()
    path = find_settings_file(directory, settings_file)
    return layer_settings(given, directory, read_settings_file(path, groups), path, source, groups)


def layer_settings(
    given: Mapping[str, Any],
    directory: Path,
    file: SettingsFile,
    path: Path | None,
    source: str = "command line",
    groups: Groups | None = None,
) -> GatheredParameters:
    """Fill in what was not given, from the environment and a settings file that is read already.

    Args:
        given: As for `gather_parameters`.
        directory: As there.
        file: What the settings file says.
        path: Where it lies; None where there is none.
        source: As there.
        groups: As there.

    Raises:
        UsageError: A variable makes no sense.
    """
    groups = groups or list_groups()
    label = SETTINGS_FILE if path == directory / SETTINGS_FILE else str(path)
    config_id = given.get("config_id")
    own, variables = file.configs.get(str(config_id), Preferences()), read_variables(groups)
    layers: list[tuple[Mapping[str, Any], str]] = [
        (file.list_given(), label),
        (own.list_given(), f"{label}, {config_id}"),
        ({key: os.environ[name] for key, name in TRACKER_VARIABLES.items() if os.environ.get(name)}, "W&B's variables"),
        (variables.list_given(), ENVIRONMENT),
        ({key: value for key, value in given.items() if value is not None}, source),
    ]
    parameters: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for values, where in layers:
        for key in (RIVALS[key] for key in values if key in RIVALS and RIVALS[key] not in values):
            parameters.pop(key, None)
            sources.pop(key, None)
        for key, value in values.items():
            if isinstance(value, Mapping) and key != "sweep_file":
                value = parameters.get(key, {}) | dict(value)
            parameters[key], sources[key] = value, where
    # A file may keep what containers take beside sweeps that need none, and the other way round.
    idle = list_idle(parameters.get("launcher", "local"), groups)
    for key in (key for key in idle if given.get(key) is None):
        parameters.pop(key, None)
        sources.pop(key, None)
    parameters = collect_foreign(parameters, parameters.get("launcher", "local"))
    if parameters.get("launcher_options") and "launcher_options" not in sources:
        sources["launcher_options"] = sources.pop(parameters["launcher"])
    left = [*_find_other_places(given, layers), *_leave_to_sweep(parameters, sources, given, directory)]
    note = f"The sweep is run as its own file says, so these settings are ignored: {', '.join(left)}."
    trainer = find_trainer(str(config_id))
    is_own = parameters.get("program") or parameters.get("command")
    known = trainer.parameters if trainer and not is_own else GUIDE_PARAMETERS
    ranges = parse_ranges(file.ranges | own.ranges, known, str(path))
    ranges |= parse_ranges(variables.ranges, known, RANGES_VARIABLE)
    if parameters.get("params"):
        swept = parse_names(parameters["params"])
        places = dict.fromkeys(ranges, label) | dict.fromkeys(variables.ranges, ENVIRONMENT)
        sources |= {f"ranges.{name}": place for name, place in places.items() if name in swept}
        for name in swept if is_own or trainer is None else ():
            if name not in known and name not in ranges and (field := find_field_range(name)):
                ranges[name], sources[f"ranges.{name}"] = field.parameter, field.source
        parameters["params"] = expand_params(parameters["params"], ranges)
    return GatheredParameters(parameters=parameters, sources=sources, notes=(note,) if left else ())


def list_settings(directory: Path) -> list[Mapping[str, Any]]:
    """List what file and environment set for sweeps: those that name no config id of the file, and each that does.

    Args:
        directory: Where the settings file is looked for.

    Raises:
        UsageError: The file that was named is not there, or it or a variable makes no sense.
    """
    file = read_settings_file(find_settings_file(directory))
    variables = read_variables().list_given()
    sections = ({}, *(own.list_given() for own in file.configs.values()))
    return [_merge(file.list_given(), own, variables) for own in sections]


def _merge(*layers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Merge settings, the later ones over the earlier ones, groups of options by their keys."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
            merged[key] = {**merged[key], **value} if both else value
    return merged


def collect_foreign(given: Mapping[str, Any], launcher: str) -> dict[str, Any]:
    """Collect the options of another package's launcher under the one name by which a flow takes them.

    Args:
        given: Parameters by name; the launcher's options stand under its own.
        launcher: Where trainings run.
    """
    if launcher in LAUNCHERS or launcher not in given:
        return dict(given)
    rest = {name: value for name, value in given.items() if name != launcher}
    return {**rest, "launcher_options": {**given[launcher], **(given.get("launcher_options") or {})}}


def _leave_to_sweep(
    parameters: dict[str, Any], sources: dict[str, str], given: Mapping[str, Any], directory: Path
) -> Iterator[str]:
    """Drop what a sweep file says itself, which is nearer than the settings; what it leaves open is theirs.

    Yields:
        What is dropped and was meant otherwise.
    """
    file = parameters.get("sweep_file") or {}
    told = [key for key, parts in FILE_SAYS.items() if any(file.get(part) for part in parts)]
    for key in (*told, *(list_names(idle_alone=True) if parameters.get("single") else ())):
        if given.get(key) is None and key in parameters:
            value, where = parameters.pop(key), sources.pop(key)
            if value != _read_own(file, key, directory):
                yield _describe(key, value, where)


def _read_own(file: Mapping[str, Any], key: str, directory: Path) -> Any:
    """Read what a sweep file says of a setting, as the settings would; None where that is no plain value."""
    metric = file.get("metric")
    own = {**metric, "metric": metric.get("name")} if isinstance(metric, Mapping) else {}
    program = str(file.get("program"))
    return {**own, "program": program if is_module_name(program) else str(directory / program)}.get(key)


def _find_other_places(given: Mapping[str, Any], layers: Iterable[tuple[Mapping[str, Any], str]]) -> Iterator[str]:
    """Find where another place is written down than that of the sweep whose whole id was given."""
    *place, _ = str(given.get("sweep_id") or "").strip("/").split("/")
    for key, own in zip(("project", "entity"), reversed(place), strict=False):
        told = [(values[key], where) for values, where in layers if key in values]
        if len(told) > 1 and told[-2][0] != own:
            yield _describe(key, *told[-2])


def _describe(key: str, value: Any, where: str) -> str:
    return f"{key} {', '.join(map(str, value)) if isinstance(value, tuple) else value} ({where})"


def find_settings_file(directory: Path, named: Path | None = None) -> Path | None:
    """Find the settings file: the one that was named, that ``MULTISTAGE_SETTINGS`` names, or the folder's own.

    Raises:
        UsageError: One that was named is not there.
    """
    wanted = named or os.environ.get(SETTINGS_VARIABLE)
    path = directory / expand_home(Path(wanted or SETTINGS_FILE))
    if path.is_file():
        return path
    if wanted:
        raise UsageError(f"There is no settings file {path}.", f"Correct --settings, or {SETTINGS_VARIABLE}.")
    return None


def read_settings_file(path: Path | None, groups: Groups | None = None) -> SettingsFile:
    """Read a settings file; an empty one where there is none.

    Raises:
        UsageError: It cannot be read, or makes no sense.
    """
    if path is None:
        return build_settings(groups or list_groups())()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Fix it, or name another with --settings.") from error
    return parse_settings(text, path, groups)


def read_variables(groups: Groups | None = None) -> Preferences:
    """Read the preferences that stand in the environment.

    Raises:
        UsageError: One of them makes no sense.
    """
    groups = groups or list_groups()
    try:
        variables = build_preferences(groups).model_validate(EnvSettingsSource(build_variables(groups))())
    except ValidationError as error:
        raise explain_mistake(error, "", spell_variable, groups) from error
    except SettingsError as error:
        raise UsageError(
            f"The environment's {VARIABLE_PREFIX}* variables: {error}.", "Write a list or table as JSON."
        ) from error
    except RecursionError as error:
        raise UsageError(
            f"One of the environment's {VARIABLE_PREFIX}* variables is nested too deeply.", "Nest it less deeply."
        ) from error
    parse_ranges(variables.ranges, {}, RANGES_VARIABLE)
    return variables


class _Variables(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=VARIABLE_PREFIX, env_nested_delimiter="__", env_ignore_empty=True, frozen=True
    )


@cache
def build_variables(groups: Groups) -> type[BaseSettings]:
    """Build the model of the variables: the keys of the file, such as ``MULTISTAGE_MODAL__CPU`` for one of a table."""
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in build_preferences(groups).model_fields.items()
    }
    return create_model("Variables", __base__=_Variables, **fields)


def find_runs_dir(directory: Path, settings_file: Path | None = None, config_id: str | None = None) -> Path:
    """Find where sweeps' folders lie unless told otherwise; for a config id, where those of it lie.

    Raises:
        UsageError: As `gather_parameters`.
    """
    return _choose_runs_dir(read_settings_file(find_settings_file(directory, settings_file)), config_id)


def _choose_runs_dir(file: SettingsFile, config_id: str | None) -> Path:
    nearer = (read_variables(), file.configs.get(str(config_id), Preferences()), file)
    told: Iterable[Path] = (one.list_given()["runs_dir"] for one in nearer if "runs_dir" in one.model_fields_set)
    return next(iter(told), Path("runs"))


def list_runs_dirs(directory: Path, settings_file: Path | None = None) -> tuple[Path, ...]:
    """List every place where sweeps' folders may lie unless told otherwise, the one of most config ids first.

    Raises:
        UsageError: As `gather_parameters`.
    """
    file = read_settings_file(find_settings_file(directory, settings_file))
    return tuple(dict.fromkeys(_choose_runs_dir(file, one) for one in (None, *file.configs)))
