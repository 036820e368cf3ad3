"""Filters and orders of artifacts and their collections, which are few, and looked at one by one."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic_core import SchemaError

from multistage.wandb_server.nodes import RefusedError, parse_object
from multistage.wandb_server.patterns import matches

MAX_DEPTH = 20
Values = Mapping[str, Any]
"""What an artifact or a collection is looked at by, under the names that clients have for it."""

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda value, limit: value > limit,
    "$gte": lambda value, limit: value >= limit,
    "$lt": lambda value, limit: value < limit,
    "$lte": lambda value, limit: value <= limit,
}
CAPITAL = re.compile(r"([A-Z])")


def read_filter(text: str | None) -> dict[str, Any]:
    """A filter as the client writes it.

    Raises:
        RefusedError: It is not valid JSON object.
    """
    return parse_object("The filter", text) if text else {}


def select(condition: Mapping[str, Any], values: Values, depth: int = 0) -> bool:
    """Whether something meets a condition.

    Raises:
        RefusedError: The condition has an unknown key or operator, or is nested too deep.
    """
    if depth > MAX_DEPTH:
        raise RefusedError(f"The filter is nested more than {MAX_DEPTH} deep.", 400)
    return all(_meet(key, wanted, values, depth) for key, wanted in condition.items())


def _meet(key: str, wanted: Any, values: Values, depth: int) -> bool:
    match key, wanted:
        case "$and" | "$or" | "$nor", list(parts) if all(isinstance(part, dict) for part in parts):
            found = [select(part, values, depth + 1) for part in parts]
            return all(found) if key == "$and" else any(found) == (key == "$or")
        case "$not", dict():
            return not select(wanted, values, depth + 1)
        case _ if key.startswith("$"):
            raise RefusedError(f"Unknown filter operator {key[:40]!r}, or one without its list.", 400)
    value = _look_up(key, values)
    if not isinstance(wanted, dict):
        return _equals(value, wanted)
    return all(_compare(operator, value, limit) for operator, limit in wanted.items())


def _look_up(key: str, values: Values) -> Any:
    name, _, rest = key.partition(".")
    name = _to_snake(name)
    if name not in values:
        raise RefusedError(f"Unknown filter key {key[:60]!r}; known are {', '.join(values)}.", 400)
    value = values[name]
    for part in rest.split(".") if rest else ():
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _compare(operator: str, value: Any, limit: Any) -> bool:
    match operator, limit:
        case "$eq", _:
            return _equals(value, limit)
        case "$ne", _:
            return not _equals(value, limit)
        case "$in", list():
            return any(_equals(value, one) for one in limit)
        case "$nin", list():
            return not any(_equals(value, one) for one in limit)
        case "$exists", bool():
            return (value is not None) == limit
        case ("$regex", str(pattern)) | ("$contains", str(pattern)):
            texts = value if isinstance(value, list) else [value]
            if operator == "$contains":
                return any(isinstance(text, str) and pattern in text for text in texts)
            return any(_matches(pattern, text) for text in texts)
        case "$not", dict():
            return not all(_compare(inner, value, one) for inner, one in limit.items())
        case _ if operator in COMPARISONS:
            return _has_order(value, limit) and COMPARISONS[operator](*_align(value, limit))
    raise RefusedError(f"Unknown filter operator {operator[:40]!r}, or a value that it cannot take.", 400)


def _matches(pattern: str, text: Any) -> bool:
    try:
        return matches(pattern, text)
    except SchemaError as error:
        raise RefusedError(f"Invalid pattern {pattern[:60]!r}.", 400) from error


def _equals(value: Any, wanted: Any) -> bool:
    if isinstance(value, list):
        return wanted == value or wanted in value
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _has_order(value: Any, limit: Any) -> bool:
    numbers = (int, float)
    return (isinstance(value, numbers) and isinstance(limit, numbers)) or (
        isinstance(value, str) and isinstance(limit, str)
    )


def _align(value: Any, limit: Any) -> tuple[Any, Any]:
    """Times may be written with and without a zone and fractions."""
    try:
        moments = [datetime.fromisoformat(text) for text in (value, limit)]
    except (TypeError, ValueError):
        return value, limit
    aware = [moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments]
    return aware[0], aware[1]


def order_by(items: list[Any], describe: Callable[[Any], Values], order: str | None) -> list[Any]:
    """Things in the order that a client asks for, ``-created_at``; as they come where it asks for none.

    Raises:
        RefusedError: No such key.
    """
    if not order:
        return items
    key = _to_snake(order.lstrip("+-"))

    def rank(item: Any) -> tuple[bool, bool, Any]:
        value = _look_up(key, describe(item))
        number = isinstance(value, int | float)
        return value is not None, number, value if number else str(value)

    return sorted(items, key=rank, reverse=order.startswith("-"))


def _to_snake(name: str) -> str:
    return CAPITAL.sub(lambda found: f"_{found[0].lower()}", name)
