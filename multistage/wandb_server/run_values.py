"""What runs hold: configs as clients write them, ``{"lr": {"value": 0.1}}``, rows and summaries.

Scripts may have written anything else into each of them.
"""

import math
from collections.abc import Mapping
from typing import Any

from multistage.domain.runs.metric import read_logged_number

CLIENTS_OWN = "_wandb"
"""The key under which the client keeps what is no hyperparameter."""


def wrap_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's config as agents need it."""
    return {key: value if _is_wrapped(value) else {"value": value} for key, value in config.items()}


def unwrap_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's hyperparameters, without the client's own key."""
    return {key: value["value"] if _is_wrapped(value) else value for key, value in config.items() if key != CLIENTS_OWN}


def read_number(value: Any) -> float | None:
    """The finite number that a script logged; None for a text, a boolean, and what no float holds."""
    number = read_logged_number(value)
    return number if number is not None and math.isfinite(number) else None


def _is_wrapped(value: Any) -> bool:
    return isinstance(value, dict) and "value" in value
