"""The parameters of a W&B sweep's config as their author meant them, where YAML and W&B take them at their letter.

What comes out says the same to this project's search, to the embedded server's and to W&B's own engine.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from multistage.domain.runs.values import read_number, require_number
from multistage.domain.space.choices import unite_choices
from multistage.domain.space.multiples import find_multiples, quantize

NUMBERS = ("min", "max", "q", "mu", "sigma", "a", "b")
"""Keys that take nothing but a number."""


class CorrectedSpec(NamedTuple):
    """A parameter's specification, and what it says otherwise than its author's words, a sentence each."""

    spec: dict[str, Any]
    notes: tuple[str, ...]


def correct_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Correct a whole section of parameters, nested ones too; what is malformed stays as it is."""
    fixed: dict[str, Any] = {}
    for key, spec in parameters.items():
        if not isinstance(spec, Mapping):
            fixed[key] = spec
        elif isinstance(spec.get("parameters"), Mapping):
            fixed[key] = {**spec, "parameters": correct_parameters(spec["parameters"])}
        else:
            fixed[key] = correct_spec(str(key), spec).spec
    return fixed


def correct_spec(name: str, spec: Mapping[str, Any]) -> CorrectedSpec:
    """Correct one parameter's specification.

    Args:
        name: For the notes.
        spec: As the sweep's config has it.
    """
    texts: list[str] = []
    fixed = {key: _read_numbers(value, texts, key in NUMBERS) for key, value in spec.items()}
    notes = [f"{name} has {_list(texts)} as text, read as the number that it says."] if texts else []
    notes += _correct_bounds(name, fixed)
    notes += _correct_multiples(name, fixed)
    notes += _correct_values(name, fixed)
    return CorrectedSpec(fixed, tuple(notes))


def _read_numbers(value: Any, texts: list[str], is_number: bool) -> Any:
    """Read each text that says a number, in lists and sections too; gathers those texts."""
    match value:
        case str():
            number = require_number(value) if is_number else read_number(value)
            if number is not None:
                texts.append(value)
                return number
        case list() | tuple():
            return [_read_numbers(one, texts, is_number) for one in value]
        case Mapping():
            return {key: _read_numbers(one, texts, is_number) for key, one in value.items()}
        case float() if not math.isfinite(value):
            return str(value)
    return value


def _correct_bounds(name: str, spec: dict[str, Any]) -> list[str]:
    bounds = [spec.get("min"), spec.get("max")]
    if "distribution" in spec or {type(bound) for bound in bounds} != {int, float}:
        return []
    low, high = map(require_number, bounds)
    if low is None or high is None:
        return []
    spec["min"], spec["max"] = float(low), float(high)
    note = (
        f"{name} has the bounds {low} and {high}, of which one is whole: it takes any number between them "
        "(`distribution: int_uniform` would take whole ones)."
    )
    return [note]


def _correct_multiples(name: str, spec: dict[str, Any]) -> list[str]:
    """Move the bounds of a quantized range to the multiples within them: rounding would leave the range."""
    kind = spec.get("distribution")
    low, high, step = (require_number(spec.get(key, 1)) for key in ("min", "max", "q"))
    if kind not in ("q_uniform", "q_log_uniform", "q_log_uniform_values") or None in (low, high, step):
        return []
    assert low is not None and high is not None and step is not None  # noqa: PT018, S101 - for the type checker
    exponents = kind == "q_log_uniform"
    if step <= 0 or not {"min", "max"} <= set(spec) or (exponents and max(abs(low), abs(high)) > 700):
        return []
    first, last = (math.exp(low), math.exp(high)) if exponents else (low, high)
    found = find_multiples(first, last, step)
    if found is None:
        return []
    inner = [quantize(index * step, float(step)) for index in found]
    if math.dist(inner, (first, last)) <= 1e-9 * max(abs(first), abs(last), step):
        return []
    spec["min"], spec["max"] = map(math.log, inner) if exponents else inner
    note = (
        f"{name} ({kind}) takes multiples of {step:g}: it is searched from {inner[0]:g} to {inner[1]:g}, "
        f"the first and the last between {first:g} and {last:g}."
    )
    return [note]


def _correct_values(name: str, spec: dict[str, Any]) -> list[str]:
    values, weights = spec.get("values"), spec.get("probabilities")
    if not isinstance(values, list) or not values:
        return []
    found = unite_choices(name, values)
    if isinstance(weights, list) and len(weights) == len(values) and None not in map(require_number, weights):
        sums = [0.0] * len(found.values)
        for place, weight in zip(found.places, weights, strict=True):
            sums[place] += weight
        spec["probabilities"] = sums
    if not isinstance(weights, list) or len(weights) == len(values):
        spec["values"] = list(found.values)
    notes = list(found.notes)
    if {bool, str} <= {type(value) for value in values}:
        notes.append(
            f"{name} has booleans and texts among its values: YAML reads on, off, yes and no as booleans unless quoted."
        )
    return notes


def _list(texts: list[str]) -> str:
    unique = list(dict.fromkeys(texts))
    return ", ".join(map(repr, unique[:3])) + (" and others" if len(unique) > 3 else "")
