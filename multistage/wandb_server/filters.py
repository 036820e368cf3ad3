"""Mongo-style filters and orders of ``wandb.Api().runs``, translated to SQL.

Every value travels as a parameter; every name comes from the tables below, never from the request.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import SchemaError

from multistage.wandb_server.nodes import DEFAULT_ENTITY, RefusedError
from multistage.wandb_server.patterns import compile_pattern
from multistage.wandb_server.store import parse_time

COLUMNS = {
    "name": "name",
    "display_name": "display_name",
    "displayName": "display_name",
    "state": "state",
    "sweep": "sweep",
    "sweepName": "sweep",
    "group": "run_group",
    "job_type": "job_type",
    "jobType": "job_type",
    "host": "host",
    "description": "description",
    "notes": "notes",
    "stopped": "stop_requested",
    "exitcode": "exitcode",
    "commit": "commit_hash",
    "duration": "((coalesce(ended_at, heartbeat_at) - started_at) / 1e6)",
}
TIMES = {
    "createdAt": "created_at",
    "created_at": "created_at",
    "heartbeatAt": "heartbeat_at",
    "heartbeat_at": "heartbeat_at",
    "updatedAt": "heartbeat_at",
    "updated_at": "heartbeat_at",
    "startedAt": "started_at",
    "endedAt": "ended_at",
}
USER_KEYS = ("user", "username")
"""What stands for the one user, who made every run."""
SWEEP_KEYS = ("name", "display_name", "displayName", "state", "description", "createdAt", "created_at")
"""What sweeps can be filtered by."""

Table = Literal["runs", "sweeps"]

NUMBERS = "('integer', 'real')"
"""As SQL: JSON types of what is a number; NaN and infinities are stored as texts."""
COMPARISONS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
MAX_CONDITIONS = 2000
MAX_DEPTH = 20
MAX_PATTERN = 500


@dataclass(frozen=True)
class Clause:
    """A piece of SQL and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Field(Clause):
    """What a filter's or an order's key stands for.

    Args:
        kind: The value's JSON type as SQL with the same parameters; empty for a column, whose values are of one kind.
    """

    kind: str = ""


def translate_filters(text: str | None, table: Table = "runs") -> Clause:
    """A JSON filter as a condition on a table.

    Args:
        text: The client's filter; None, an empty string and ``{}`` select everything.
        table: Which one.

    Raises:
        RefusedError: It is not valid JSON object, knows an unknown operator or column, or is too large.
    """
    try:
        condition = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"The filter is not valid JSON: {error}.", 400) from error
    if table == "sweeps":
        _check_keys(condition, 0)
    clause = _translate(condition, 0)
    if len(clause.parameters) > MAX_CONDITIONS:
        raise RefusedError(f"The filter has {len(clause.parameters)} values; the limit is {MAX_CONDITIONS}.", 400)
    return clause


def _check_keys(condition: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RefusedError(f"The filter is nested more than {MAX_DEPTH} deep.", 400)
    for part in condition if isinstance(condition, list) else [condition]:
        for key, value in part.items() if isinstance(part, dict) else ():
            if key.startswith("$"):
                _check_keys(value, depth + 1)
            elif key not in SWEEP_KEYS:
                raise RefusedError(
                    f"Unknown filter key {key[:60]!r} of sweeps; known are {', '.join(SWEEP_KEYS)}.", 400
                )


def _translate(condition: Any, depth: int) -> Clause:
    if condition is None:
        return Clause("1")
    if not isinstance(condition, dict):
        raise RefusedError(f"A filter must be an object, not {str(condition)[:60]!r}.", 400)
    if depth > MAX_DEPTH:
        raise RefusedError(f"The filter is nested more than {MAX_DEPTH} deep.", 400)
    return _join(" AND ", [_translate_entry(key, value, depth) for key, value in condition.items()])


def _translate_entry(key: str, value: Any, depth: int) -> Clause:
    match key:
        case "$and" | "$or" | "$nor":
            if not isinstance(value, list):
                raise RefusedError(f"{key} needs a list.", 400)
            parts = [_translate(item, depth + 1) for item in value]
            if key == "$and":
                return _join(" AND ", parts)
            joined = _join(" OR ", parts)
            return joined if key == "$or" else Clause(f"NOT ({joined.sql})", joined.parameters)
        case "$not":
            inner = _translate(value, depth + 1)
            return Clause(f"NOT ({inner.sql})", inner.parameters)
        case _ if key.startswith("$"):
            raise RefusedError(f"Unknown filter operator {key[:40]!r}.", 400)
        case "tags":
            return _translate_tags(value, depth)
        case _:
            return _translate_field(key, value, depth)


def _translate_field(key: str, value: Any, depth: int) -> Clause:
    field = resolve_field(key)
    if not (isinstance(value, dict) and value and all(name.startswith("$") for name in value)):
        return _equal(field, _convert(key, value))
    parts = []
    for operator, operand in value.items():
        match operator:
            case "$eq":
                parts.append(_equal(field, _convert(key, operand)))
            case "$ne":
                parts.append(_negate(_equal(field, _convert(key, operand))))
            case "$gt" | "$gte" | "$lt" | "$lte":
                parts.append(_compare(field, operator, _convert(key, operand)))
            case "$in" | "$nin":
                parts.append(_contain(field, key, operator, operand))
            case "$exists":
                parts.append(Clause(f"{field.sql} IS {'NOT ' if operand else ''}NULL", field.parameters))
            case "$regex":
                parts.append(_search(field, operand))
            case "$not":
                if depth > MAX_DEPTH:
                    raise RefusedError(f"The filter is nested more than {MAX_DEPTH} deep.", 400)
                parts.append(_negate(_translate_field(key, operand, depth + 1)))
            case _:
                raise RefusedError(f"Unknown filter operator {operator[:40]!r}.", 400)
    return _join(" AND ", parts)


def _compare(field: Field, operator: str, value: Any) -> Clause:
    comparison = Clause(f"{field.sql} {COMPARISONS[operator]} ?", (*field.parameters, value))
    if not field.kind:
        return comparison
    # As in MongoDB, only values of a kind compare; for SQLite every text lies above every number.
    kinds = "('text')" if isinstance(value, str) else NUMBERS
    return _join(" AND ", [Clause(f"{field.kind} IN {kinds}", field.parameters), comparison])


def _contain(field: Clause, key: str, operator: str, operand: Any) -> Clause:
    if not isinstance(operand, list):
        raise RefusedError(f"{operator} needs a list.", 400)
    values = [_convert(key, item) for item in operand]
    marks = ", ".join("?" for item in values if item is not None)
    clause = Clause(f"({field.sql}) IN ({marks})", (*field.parameters, *(item for item in values if item is not None)))
    if None in values:
        clause = _join(" OR ", [clause, _equal(field, None)])
    return clause if operator == "$in" else _negate(clause)


def _search(field: Clause, operand: Any) -> Clause:
    if not isinstance(operand, str) or len(operand) > MAX_PATTERN:
        raise RefusedError(f"$regex needs a string of at most {MAX_PATTERN} characters.", 400)
    try:
        compile_pattern(operand)
    except SchemaError as error:
        raise RefusedError(f"$regex {operand[:60]!r} is not a regular expression.", 400) from error
    return Clause(f"({field.sql}) REGEXP ?", (*field.parameters, operand))


def _translate_tags(value: Any, depth: int) -> Clause:
    if depth > MAX_DEPTH:
        raise RefusedError(f"The filter is nested more than {MAX_DEPTH} deep.", 400)
    if value is None:
        return Clause("tags = '[]'")
    operators = value if isinstance(value, dict) else {"$eq": value}
    return _join(" AND ", [_translate_tag_operator(*entry, depth) for entry in operators.items()])


def _translate_tag_operator(operator: str, operand: Any, depth: int) -> Clause:
    match operator, operand:
        case "$eq", _:
            return _have_tag([operand])
        case "$ne", _:
            return _negate(_have_tag([operand]))
        case "$in", list(tags):
            return _have_tag(tags)
        case "$nin", list(tags):
            return _negate(_have_tag(tags))
        case "$all", list(tags):
            return _join(" AND ", [_have_tag([tag]) for tag in tags or [None]])
        case (("$in" | "$nin" | "$all"), _):
            raise RefusedError(f"{operator} needs a list.", 400)
        case "$exists", _:
            return Clause(f"tags {'!=' if operand else '='} '[]'")
        case "$regex", _:
            found = _search(Clause("value"), operand)
            return Clause(f"EXISTS (SELECT 1 FROM json_each(tags) WHERE {found.sql})", found.parameters)  # noqa: S608
        case "$not", _:
            return _negate(_translate_tags(operand, depth + 1))
    raise RefusedError(
        f"tags can be filtered by $eq, $ne, $in, $nin, $all, $exists, $regex and $not, not by {operator[:40]!r}.", 400
    )


def _have_tag(tags: list[Any]) -> Clause:
    """Any of some tags."""
    marks = ", ".join("?" for _ in tags)
    return Clause(
        f"EXISTS (SELECT 1 FROM json_each(tags) WHERE value IN ({marks}))",  # noqa: S608 - only marks
        tuple(map(_to_sql, tags)),
    )


def resolve_field(key: str) -> Field:
    """What a filter's or an order's key stands for.

    Raises:
        RefusedError: No such column.
    """
    if column := COLUMNS.get(key) or TIMES.get(key):
        return Field(column)
    if key in USER_KEYS:
        return Field("?", (DEFAULT_ENTITY,))
    section, _, path = key.partition(".")
    match section:
        case "config" if path:
            parts = path.removesuffix(".value").split(".")
            # Stored as {"lr": {"value": 0.1}}; a dotted name may be one key, or lead into a nested value.
            return _extract("config", [[".".join(parts), "value"], [parts[0], "value", *parts[1:]]])
        case "summary_metrics" | "summaryMetrics" | "summary" if path:
            return _extract("summary", [[path], path.split(".")])
        case _:
            known = ", ".join(sorted({*COLUMNS, *TIMES, *USER_KEYS, "tags"}))
            raise RefusedError(
                f"Unknown filter key {key[:60]!r}; known are {known}, config.* and summary_metrics.*.", 400
            )


def _extract(column: str, paths: list[list[str]]) -> Field:
    unique = list(dict.fromkeys(_json_path(path) for path in paths))
    value, kind = f"json_extract({column}, ?)", f"nullif(json_type({column}, ?), 'null')"
    if len(unique) == 1:
        return Field(value, (unique[0],), kind)
    return Field(f"coalesce({value}, {value})", tuple(unique), f"coalesce({kind}, {kind})")


def _json_path(parts: list[str]) -> str:
    if any('"' in part or "\0" in part or len(part) > 500 for part in parts) or len(parts) > MAX_DEPTH:
        raise RefusedError(f"The key {'.'.join(parts)[:60]!r} cannot be searched for.", 400)
    return "$" + "".join(f'."{part}"' for part in parts)


def _convert(key: str, value: Any) -> Any:
    if key in TIMES and isinstance(value, str):
        try:
            return parse_time(value)
        except (ValueError, OverflowError) as error:
            raise RefusedError(f"{key} needs an ISO 8601 time, not {value[:60]!r}.", 400) from error
    return _to_sql(value)


def _to_sql(value: Any) -> Any:
    match value:
        case None | str() | float():
            return value
        case bool():
            return int(value)
        case int():
            return value if abs(value) < 2**63 else float(value)
        case _:
            return json.dumps(value, separators=(",", ":"))


def _equal(field: Clause, value: Any) -> Clause:
    return (
        Clause(f"({field.sql}) IS ?", (*field.parameters, value))
        if value is None
        else Clause(f"({field.sql}) = ?", (*field.parameters, value))
    )


def _negate(clause: Clause) -> Clause:
    # A missing value is "not equal", as in MongoDB; SQL would answer NULL.
    return Clause(f"NOT coalesce(({clause.sql}), 0)", clause.parameters)


def _join(operator: str, parts: list[Clause]) -> Clause:
    # Joined as a balanced tree: SQLite refuses expressions more than 1000 deep.
    match parts:
        case []:
            return Clause("1" if operator == " AND " else "0")
        case [part]:
            return part
        case _:
            middle = len(parts) // 2
            left, right = _join(operator, parts[:middle]), _join(operator, parts[middle:])
            return Clause(f"({left.sql}){operator}({right.sql})", left.parameters + right.parameters)
