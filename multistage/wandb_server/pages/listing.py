"""Runs as rows of a table, and which of them changed."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from multistage.wandb_server.filters import Clause
from multistage.wandb_server.store import Reader, Row

MAX_RUNS = 10_000
"""Runs that a page holds; of more, the newest."""
MAX_COLUMNS = 100
MAX_TEXT = 160
"""Characters of a value that a table shows."""
MAX_DEPTH = 4
KEPT_KEYS = ("_step", "_runtime")
"""Of the summary's keys that begin with an underscore, those that people read."""
FIELDS = (
    "name, display_name, state, stop_requested, exitcode, sweep, agent_id, created_at, started_at, ended_at, "
    "heartbeat_at, config, summary"
)

Values = dict[str, Any]


def list_changes(store: Reader, condition: Clause, since: int) -> dict[str, Any]:
    """The runs that changed after a revision.

    Args:
        store: Where they are.
        condition: Which runs the page is about.
        since: An earlier answer's revision; 0 for all runs.

    Returns:
        ``revision``; ``total``, how many runs there are (fewer than known: some were deleted, ask for all);
        ``columns``, what the values are, as ``[section, key]``; ``rows``, each a list: id, name, state, whether it was
        asked to stop, exit code, sweep, whether an agent has it, and the times made, begun, ended and last changed in
        ms, then the values.
    """
    runs = f"FROM runs WHERE {condition.sql}"
    total = store.value(f"SELECT count(*) {runs}", condition.parameters)
    found = store.all(
        f"SELECT {FIELDS} {runs} AND heartbeat_at > ? ORDER BY created_at DESC, id DESC LIMIT ?",
        (*condition.parameters, since, MAX_RUNS),
    )
    columns: dict[tuple[str, str], int] = {}
    rows = [_make_row(run, columns) for run in found]
    return {
        "revision": max((run["heartbeat_at"] for run in found), default=since),
        "total": total,
        "most": MAX_RUNS,
        "columns": list(columns),
        "rows": rows,
    }


def _make_row(run: Row, columns: dict[tuple[str, str], int]) -> list[Any]:
    row = [
        run["name"],
        run["display_name"] or run["name"],
        run["state"],
        run["stop_requested"],
        run["exitcode"],
        run["sweep"],
        int(run["agent_id"] is not None),
        run["created_at"] // 1000,
        run["started_at"] and run["started_at"] // 1000,
        run["ended_at"] and run["ended_at"] // 1000,
        run["heartbeat_at"] // 1000,
    ]
    fixed = len(row)
    row.extend([None] * len(columns))
    for section, values in (("config", read_config(run["config"])), ("summary", read_summary(run["summary"]))):
        for key, value in values.items():
            place = columns.get((section, key))
            if place is None:
                if len(columns) >= MAX_COLUMNS:
                    continue
                place = columns[section, key] = len(columns)
                row.append(None)
            row[fixed + place] = value
    return row


def read_config(text: str) -> Values:
    """A run's hyperparameters: flat, without the client's own."""
    config = {
        key: value["value"] if isinstance(value, dict) and "value" in value else value
        for key, value in json.loads(text).items()
        if key != "_wandb"
    }
    return dict(flatten(config))


def read_summary(text: str) -> Values:
    """A run's summary: flat, without media and without the client's own."""
    summary = json.loads(text)
    return dict(flatten({key: value for key, value in summary.items() if key[:1] != "_" or key in KEPT_KEYS}))


def flatten(values: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Plain values by dotted keys; lists as short texts, media left out."""
    for key, value in values.items():
        match value:
            case dict() if "_type" in value:
                continue
            case dict() if value and depth < MAX_DEPTH:
                yield from flatten(value, f"{prefix}{key}.", depth + 1)
            case float() if not math.isfinite(value):
                yield f"{prefix}{key}", str(value)
            case None | bool() | int() | float():
                yield f"{prefix}{key}", value
            case _:
                yield f"{prefix}{key}", (value if isinstance(value, str) else json.dumps(value))[:MAX_TEXT]
