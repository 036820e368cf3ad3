"""What runs hold: configs as clients write them, ``{"lr": {"value": 0.1}}``, rows and summaries.

Scripts may have written anything else into each of them.
"""

from collections.abc import Mapping
from typing import Any

from multistage.domain.values import is_finite

CLIENTS_OWN = "_wandb"
"""The key under which the client keeps what is no hyperparameter."""


def wrap_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's config as agents need it."""
    return {key: value if _is_wrapped(value) else {"value": value} for key, value in config.items()}


def unwrap_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's hyperparameters, without the client's own key."""
    return {key: value["value"] if _is_wrapped(value) else value for key, value in config.items() if key != CLIENTS_OWN}


def look_up(row: dict[str, Any], key: str) -> Any:
    """A row's value of a metric: the key as it is, or else a nested value of that path; None where it has none."""
    if key in row:
        return row[key]
    value: Any = row
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def read_number(value: Any) -> float | None:
    """The finite number that a script logged; None for a text, a boolean, and what no float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not is_finite(value):
        return None
    return float(value)


def _is_wrapped(value: Any) -> bool:
    return isinstance(value, dict) and "value" in value
