"""The parameters of a sweep that is taken up: as it began, and what is changed of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multistage.domain.sweep.state import State
from multistage.errors import UsageError
from multistage.options.catalogue import FILE_SAYS, RIVALS
from multistage.request.asked_sweep import locate_folder
from multistage.request.sources.precedence import (
    FLOW_RUN,
    GatheredParameters,
    collect_foreign,
    gather_parameters,
    list_runs_dirs,
)
from multistage.store.sweep_folder import SweepFolder, find_folder

NOTHING: Mapping[str, Any] = {}


def resume_parameters(name: str, given: Mapping[str, Any], directory: Path) -> GatheredParameters:
    """Find a sweep and give its parameters.

    Args:
        name: The sweep's name, its folder or its state.json.
        given: What is changed, by name; a config id is none that could be.
        directory: Where the settings file is looked for, which may say where sweeps lie.

    Raises:
        FolderError: There is no such sweep.
        UsageError: It is one of another config id.
    """
    places = (given["runs_dir"],) if given.get("runs_dir") else list_runs_dirs(directory, given.get("settings"))
    folder = find_folder(name, *places)
    state = folder.load_state()
    if given.get("config_id") not in (None, state.config_id):
        raise UsageError(
            f"{folder.path} holds a sweep of {state.config_id}, not of {given['config_id']}.", "Leave CONFIG_ID out."
        )
    changed = collect_foreign(given, given.get("launcher") or state.options.launcher)
    place = {"name": folder.name, "runs_dir": folder.path.parent, "resume": True}
    return GatheredParameters(
        parameters={**take_up(state, changed), **place}, sources=dict.fromkeys(changed, "command line")
    )


def complete_parameters(
    parameters: Mapping[str, Any], directory: Path, flow_run_id: str = "", standing: Mapping[str, Any] = NOTHING
) -> GatheredParameters:
    """Fill in what a flow run was not told: as the sweep began, where it is taken up; else from the settings.

    Says where each came from only where it is from the settings.

    Args:
        parameters: By name; None stands for one that was not given.
        directory: Where the settings file is looked for.
        flow_run_id: Of this flow run: one that Prefect retries takes up what it drove itself, as it was.
        standing: The deployment's own parameters. A form sends them all, so on a resume they were not asked for.

    Raises:
        FolderError: There is nothing to take up.
        UsageError: The settings file, or a variable of the environment, makes no sense.
    """
    folder = SweepFolder(locate_folder(parameters))
    state = folder.load_state() if parameters.get("resume") else folder.read_state()
    place = {key: parameters.get(key) for key in ("name", "runs_dir", "resume")}
    if state is not None and state.was_driven_by(flow_run_id):
        return GatheredParameters(parameters=take_up(state, place), sources={})
    if state is not None and parameters.get("resume"):
        changed = {key: value for key, value in parameters.items() if value != standing.get(key)}
        return GatheredParameters(parameters=take_up(state, changed | place), sources={})
    return gather_parameters(parameters, directory, parameters.get("settings"), FLOW_RUN)


def take_up(state: State, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that a sweep began with, and what a resume changes of them."""
    began = {**state.request.model_dump(), **state.options.model_dump(exclude={"directory"})}
    changed = {key: value for key, value in given.items() if value is not None and key not in ("single", "adopted")}
    began |= {RIVALS[key]: None for key in changed if key in RIVALS}
    if "sweep_file" in changed:  # what the first file said is not said again by the request
        began |= dict.fromkeys(FILE_SAYS)
    tables = {key: value for key, value in changed.items() if isinstance(value, Mapping) and key != "sweep_file"}
    return {**began, **changed, **{key: {**(began.get(key) or {}), **value} for key, value in tables.items()}}
