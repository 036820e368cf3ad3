"""The keys of a W&B sweep file, and which of them was probably meant by one that is not known.

W&B ignores a key that it does not know: ``distributon: log_uniform_values`` would search another range than was
meant.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from multistage.errors import SpaceError
from multistage.spelling import find_near

KEYS = (
    "name", "description", "program", "command", "method", "metric", "parameters", "early_terminate", "run_cap",
    "entity", "project", "controller", "scheduler", "prior_runs", "settings", "job", "queue", "image_uri", "version",
    "tags", "notes",
)  # fmt: skip
"""Of the file."""
METRIC_KEYS = ("name", "goal", "target", "impute", "impute_while_running")
STOP_KEYS = ("type", "min_iter", "max_iter", "s", "eta", "strict")
PARAMETER_KEYS = (
    "value",
    "values",
    "probabilities",
    "distribution",
    "min",
    "max",
    "q",
    "mu",
    "sigma",
    "a",
    "b",
    "parameters",
)
"""Of one parameter."""
CUTOFF = 0.75
"""How alike two keys are where one is probably the other's slip; a file may hold keys of other programs."""


def check_keys(content: Mapping[str, Any]) -> None:
    """Refuse a sweep file with a key that is probably a slip for one that W&B knows.

    Raises:
        SpaceError: There is such a key; the hint names what was probably meant.
    """
    for place, section, known in _list_sections(content):
        for key in section:
            near = None if key in known else find_near(key, known, CUTOFF)
            if near is not None and near not in section:
                raise SpaceError(f"The sweep file has the unknown key {place}{key}.", f"Did you mean {near}?")


def _list_sections(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], tuple[str, ...]]]:
    yield "", content, KEYS
    for name, known in (("metric", METRIC_KEYS), ("early_terminate", STOP_KEYS)):
        if isinstance(content.get(name), Mapping):
            yield f"{name}.", content[name], known
    yield from _list_parameters(content.get("parameters"), "parameters.")


def _list_parameters(parameters: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any], tuple[str, ...]]]:
    if not isinstance(parameters, Mapping):
        return
    for name, spec in parameters.items():
        if isinstance(spec, Mapping):
            yield f"{place}{name}.", spec, PARAMETER_KEYS
            yield from _list_parameters(spec.get("parameters"), f"{place}{name}.parameters.")
