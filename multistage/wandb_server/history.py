"""What runs stream: history, system events, console; stored a line a row, read sampled or by step."""

import json
from collections.abc import Iterator
from enum import IntEnum
from itertools import islice
from typing import Any

from multistage.domain.runs.metric import look_up
from multistage.wandb_server.context import Request, Resolvers
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.pagination import clamp_page
from multistage.wandb_server.store import Reader, Row

DEFAULT_SAMPLES = 500
MAX_SAMPLES = 100_000
MAX_SPECS = 50
LAST_STEP = 2**62
"""Beyond every step."""

RANGE = "FROM lines WHERE run_id = ? AND step >= ? AND step < ?"
"""History rows of some steps; no other stream's have one."""


class Stream(IntEnum):
    """The kinds of lines that a run streams."""

    HISTORY = 0
    EVENTS = 1
    CONSOLE = 2


def count_lines(store: Reader, run_id: int, stream: Stream) -> int:
    """How many lines a stream has, by its last one: a resumed run goes on from there."""
    last = store.value(
        "SELECT line FROM lines WHERE run_id = ? AND stream = ? ORDER BY line DESC LIMIT 1", (run_id, stream)
    )
    return 0 if last is None else last + 1


def find_steps(store: Reader, run_id: int) -> tuple[int | None, int | None]:
    """The first and the last step of a run's history, in whatever order its rows came; None where it has none."""
    sql = "SELECT step FROM lines WHERE run_id = ? AND step IS NOT NULL ORDER BY step"
    least = store.value(f"{sql} LIMIT 1", (run_id,))
    return least, store.value(f"{sql} DESC LIMIT 1", (run_id,))


def read_samples(store: Reader, run_id: int, stream: Stream, samples: int | None) -> list[str]:
    """Evenly spaced rows of a stream, the last one among them."""
    count: int = store.value("SELECT count(*) FROM lines WHERE run_id = ? AND stream = ?", (run_id, stream))
    wanted = _clamp_samples(samples)
    rows = store.execute("SELECT content FROM lines WHERE run_id = ? AND stream = ? ORDER BY line", (run_id, stream))
    if count <= wanted:
        return [row["content"] for row in rows]
    chosen = _spread(count, wanted)
    return [row["content"] for position, row in enumerate(rows) if position in chosen]


def _clamp_samples(samples: int | None) -> int:
    return max(1, min(DEFAULT_SAMPLES if samples is None else samples, MAX_SAMPLES))


def _spread(count: int, wanted: int) -> set[int]:
    if wanted == 1:
        return {count - 1}
    return {round(position * (count - 1) / (wanted - 1)) for position in range(wanted)}


def _page_history(
    run: Row,
    request: Request,
    samples: int | None = None,
    minStep: int | None = None,  # noqa: N803
    maxStep: int | None = None,  # noqa: N803
) -> list[str]:
    if minStep is not None or maxStep is not None:
        return list(islice(_read_range(request, run["id"], minStep, maxStep), _clamp_samples(samples)))
    rows = read_samples(request.store, run["id"], Stream.HISTORY, samples)
    request.spend(1 + len(rows) // 20)
    return rows


def _sample_history(run: Row, request: Request, specs: list[str]) -> list[list[dict[str, Any]]]:
    if len(specs) > MAX_SPECS:
        raise RefusedError(f"At most {MAX_SPECS} specs, not {len(specs)}.", 400)
    return [_sample(run, request, spec) for spec in specs]


def _sample(run: Row, request: Request, spec: str) -> list[dict[str, Any]]:
    try:
        wanted = json.loads(spec)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"A history spec is not valid JSON: {error}.", 400) from error
    keys = wanted.get("keys") if isinstance(wanted, dict) else None
    if keys is None:
        return []
    samples, least, end = wanted.get("samples"), wanted.get("minStep"), wanted.get("maxStep")
    if not isinstance(keys, list) or not all(isinstance(one, None | int) for one in (samples, least, end)):
        raise RefusedError(f"Invalid history spec {spec[:60]!r}.", 400)
    count = _clamp_samples(samples)
    if end is not None and _takes_last_step(keys, end - (least or 0), count):
        end += 1
    found = []
    for content in _read_range(request, run["id"], least, end):
        row = json.loads(content)
        values = {str(key): look_up(row, str(key)) for key in keys}
        if all(value is not None for value in values.values()):
            found.append(values)
    if len(found) <= count:
        return found
    return [found[position] for position in sorted(_spread(len(found), count))]


def _takes_last_step(keys: list[Any], steps: int, samples: int) -> bool:
    """Return whether a page of some keys means its ``maxStep`` too.

    wandb-core, which reads the history for clients from 0.27 on, does: it asks for as many samples as there are steps
    then, and always for the step as the last key. The Python clients of before mean the steps below it.
    """
    return keys[-1:] == ["_step"] and steps < samples


def _read_range(request: Request, run_id: int, least: int | None, end: int | None) -> Iterator[str]:
    """Read the rows of a run's history: all, as they came, or those of the steps from ``least`` to before ``end``."""
    if least is None and end is None:
        request.spend(1 + count_lines(request.store, run_id, Stream.HISTORY) // 20)
        sql = "SELECT content FROM lines WHERE run_id = ? AND stream = ? ORDER BY line"
        return (row["content"] for row in request.store.execute(sql, (run_id, Stream.HISTORY)))
    limits = (run_id, _bound(least, 0), _bound(end, LAST_STEP))
    request.spend(1 + request.store.value(f"SELECT count(*) {RANGE}", limits) // 20)
    rows = request.store.execute(f"SELECT content {RANGE} ORDER BY step, line", limits)
    return (row["content"] for row in rows)


def _bound(step: int | None, otherwise: int) -> int:
    return otherwise if step is None else max(-LAST_STEP, min(step, LAST_STEP))


def _describe_parquet(run: Row, request: Request, **_: Any) -> dict[str, Any]:
    first = find_steps(request.store, run["id"])[0]
    return {"parquetUrls": [], "liveData": [] if first is None else [{"_step": first}]}


def _page_console(
    run: Row, request: Request, first: int | None = None, after: str | None = None, last: int | None = None, **_: Any
) -> dict[str, Any]:
    """Lines of the console; newer clients say which way of counting pages they mean, and there is one here."""
    store = request.store
    count = count_lines(store, run["id"], Stream.CONSOLE)
    try:
        start = int(after) + 1 if after else 0
    except ValueError as error:
        raise RefusedError(f"Invalid cursor {after!r}.", 400) from error
    if last is not None:
        start = max(0, count - clamp_page(last))
    rows = store.all(
        "SELECT line, content FROM lines WHERE run_id = ? AND stream = ? AND line >= ? ORDER BY line LIMIT ?",
        (run["id"], Stream.CONSOLE, min(start, 2**62), clamp_page(first if last is None else last)),
    )
    request.spend(1 + len(rows) // 20)
    end = rows[-1]["line"] if rows else start - 1
    return {
        "edges": [{"node": parse_console(row["line"], row["content"])} for row in rows],
        "pageInfo": {"endCursor": str(end), "hasNextPage": end + 1 < count},
    }


def parse_console(number: int, content: str) -> dict[str, Any]:
    """A line of the console: when it was written, whether to stderr, and its text."""
    # "2026-01-01T00:00:00.000000 text", with "ERROR " before it for what came from stderr.
    level, text = ("error", content[6:]) if content.startswith("ERROR ") else ("info", content)
    time, separator, line = text.partition(" ")
    stamped = bool(separator) and len(time) >= 19 and time[4:5] == "-" and time[10:11] == "T"
    return {
        "number": number,
        "timestamp": time if stamped else None,
        "level": level,
        "label": "",
        "line": line if stamped else text,
    }


RESOLVERS: Resolvers = {
    "Run": {
        "historyLineCount": lambda run, request: count_lines(request.store, run["id"], Stream.HISTORY),
        "eventsLineCount": lambda run, request: count_lines(request.store, run["id"], Stream.EVENTS),
        "logLineCount": lambda run, request: count_lines(request.store, run["id"], Stream.CONSOLE),
        "historyTail": lambda run, request: _read_tail(run, request, Stream.HISTORY),
        "eventsTail": lambda run, request: _read_tail(run, request, Stream.EVENTS),
        "history": _page_history,
        "events": lambda run, request, samples=None: read_samples(request.store, run["id"], Stream.EVENTS, samples),
        "sampledHistory": _sample_history,
        "parquetHistory": _describe_parquet,
        "logLines": _page_console,
    }
}


def _read_tail(run: Row, request: Request, stream: Stream) -> str:
    last = request.store.value(
        "SELECT content FROM lines WHERE run_id = ? AND stream = ? ORDER BY line DESC LIMIT 1",
        (run["id"], stream),
    )
    return json.dumps([] if last is None else [last])
