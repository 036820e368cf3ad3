"""The config that a sweep stands for, as JSON, as YAML, or as a command line's arguments."""

import json
import shlex
from typing import Any, Literal

import yaml

from multistage.domain.runs.results import Config
from multistage.domain.space.layout import nest_config
from multistage.domain.sweep.state import State
from multistage.errors import FolderError


def select_best(state: State) -> Config:
    """Return the config that a sweep stands for: the recommended one, or while it runs the best so far.

    Raises:
        FolderError: If no run has finished with a value yet.
    """
    config = state.recommended.config if state.recommended else find_interim(state) or state.best_config
    if config is None:
        raise FolderError(
            f"The sweep {state.name} has no best config yet: no run has finished with a value.",
            "Look again once one has.",
        )
    return config


def find_interim(state: State) -> Config | None:
    """Return the best config of the stage that is running, where it is the best so far; None otherwise."""
    now = state.current_stage
    if state.recommended or now is None or now.best_metric is None:
        return None
    sign = 1 if state.goal == "maximize" else -1
    is_first = state.best_metric is None or sign * now.best_metric > sign * state.best_metric
    return now.best_config if is_first else None


def format_best(state: State, how: Literal["json", "yaml", "args"]) -> str:
    """Write the config that a sweep stands for, with the fixed settings that it was found with.

    Raises:
        FolderError: As `select_best`.
    """
    config = nest_config(state.settings.fixed | select_best(state), state.settings.layout)
    match how:
        case "json":
            return json.dumps(config, indent=2)
        case "yaml":
            return yaml.safe_dump(config, sort_keys=False).rstrip()
        case "args":
            return shlex.join(f"--{name}={_write_argument(value)}" for name, value in config.items())


def _write_argument(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, list | dict) else str(value)
