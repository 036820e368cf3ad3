"""Values without an order: the same one named twice, and those that only programs tell apart."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple


class Choices(NamedTuple):
    """Values that are all different.

    Args:
        values: In their order.
        places: Each one's, or its equal's, among ``values``, for every value that was given.
        notes: What was named twice, or looks like it, a sentence each.
    """

    values: tuple[Any, ...]
    places: tuple[int, ...]
    notes: tuple[str, ...]


def unite_choices(name: str, given: Sequence[Any]) -> Choices:
    """Drop what is named twice; 1 and 1.0 are one value, 1 and true are two.

    Args:
        name: The parameter's, for the notes.
        given: Values of any kind.
    """
    values: dict[str, Any] = {}
    keys = [write_key(value) for value in given]
    for key, value in zip(keys, given, strict=True):
        values.setdefault(key, value)
    order = {key: place for place, key in enumerate(values)}
    places = tuple(order[key] for key in keys)
    twice = [key for key in order if keys.count(key) > 1] if len(values) < len(given) else []
    notes = [f"{name} names {_shorten(twice)} more than once among its values: each counts once."] if twice else []
    if needs_telling_apart(tuple(values.values())):
        alike = [key for key, value in values.items() if isinstance(value, bool)]
        notes.append(f"{name} has {_shorten(alike)} beside an equal number among its values: they are kept apart.")
    return Choices(tuple(values.values()), places, tuple(notes))


def needs_telling_apart(values: Sequence[Any]) -> bool:
    """Return whether a boolean stands beside the number that Python holds for its equal."""
    booleans = {value for value in values if isinstance(value, bool)}
    return any(value in booleans for value in values if isinstance(value, int | float) and not isinstance(value, bool))


def write_key(value: Any) -> str:
    """Write a value so that only the same ones are written alike: 1 and 1.0 are, 1 and true are not."""
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value, sort_keys=True, ensure_ascii=False)


def _shorten(keys: Sequence[str]) -> str:
    return ", ".join(keys[:3]) + (" and others" if len(keys) > 3 else "")
