"""The file stream: how a run sends its rows, its summary, its console, and its end."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from multistage.domain.runs.metric import look_up
from multistage.wandb_server.context import State
from multistage.wandb_server.history import Stream, count_lines
from multistage.wandb_server.lifecycle import LIVE_STATES
from multistage.wandb_server.nodes import RefusedError, get_run, parse_object, require_named_run
from multistage.wandb_server.searches import parse_plan
from multistage.wandb_server.shared_mode import merge_summary, number_lines
from multistage.wandb_server.store import Row, dump_json

STREAMS = {
    "wandb-history.jsonl": Stream.HISTORY,
    "wandb-events.jsonl": Stream.EVENTS,
    "output.log": Stream.CONSOLE,
}
SUMMARY = "wandb-summary.json"

MAX_ITEMS = 5_000_000
"""Of a request: what is parsed in a few tenths of a second, in which nothing else is done."""
PART_LINES = 2_000
PART_LETTERS = 1_000_000

Count = Annotated[int, Field(ge=0, lt=2**31)]


class Chunk(BaseModel):
    """Lines of one file, from line ``offset`` on."""

    model_config = ConfigDict(frozen=True)

    offset: Count = 0
    content: list[str] = []


class Report(BaseModel):
    """The body of one file-stream request. Keys that newer clients add are ignored."""

    model_config = ConfigDict(frozen=True)

    files: dict[str, Chunk] | None = None
    preempting: bool | None = None
    complete: bool | None = None
    exitcode: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None


def read_report(body: bytes) -> Report:
    """A report from the body of a request.

    Raises:
        RefusedError: It is none (400), or holds more lines than can be read at one go (413).
    """
    if body.count(b",") > MAX_ITEMS:
        raise RefusedError(f"The file stream has more than {MAX_ITEMS} items; send fewer lines at once.", 413)
    try:
        return Report.model_validate(from_json(body))
    except ValidationError as error:
        raise RefusedError(f"Invalid file stream: {error.errors()[0]['msg']}.", 400) from error
    except ValueError as error:
        raise RefusedError(f"Invalid file stream: {error}.", 400) from error


async def receive(
    state: State, entity: str, project: str, run_name: str, report: Report, client: str = ""
) -> dict[str, Any]:
    """Take in one report of a run; all of it is stored before the answer.

    A long one is stored in parts, between which others come to their turn. The same report may come twice, or come
    again after a part of it was stored: lines are stored under their number.

    Args:
        state: The server's.
        entity: The run's.
        project: The run's.
        run_name: The run's id.
        report: What is reported.
        client: Which of the run's clients reports, where there may be several.

    Returns:
        The answer's body; ``stopped`` asks the run to end itself.

    Raises:
        RefusedError: There is no such run (404), or a row is not valid JSON object (400).
    """
    parts = [
        (STREAMS[name], part)
        for name, chunk in (report.files or {}).items()
        if name in STREAMS
        for part in _split(chunk)
    ]
    store, lifecycle = state.store, state.lifecycle
    rows = 0  # before this report
    if report.preempting:
        rows = count_lines(store, require_named_run(store, entity, project, run_name)["id"], Stream.HISTORY)
    for stream, part in parts[:-1]:
        with state.store.transaction():
            run = require_named_run(state.store, entity, project, run_name)
            _store_part(state, run, client, stream, part)
            state.lifecycle.keep_alive(run["id"])
        await asyncio.sleep(0)
    with store.transaction():
        run = require_named_run(state.store, entity, project, run_name)
        for stream, part in parts[-1:]:
            _store_part(state, run, client, stream, part)
        summary = (report.files or {}).get(SUMMARY)
        if summary is not None and summary.content:
            values = merge_summary(run, client, parse_object("The summary", summary.content[-1]))
            store.update("runs", run["id"], summary=values, heartbeat_at=store.tick())
        if run["state"] in LIVE_STATES or run["state"] == "crashed":
            lifecycle.report(run)
        if report.preempting:
            lifecycle.announce(get_run(store, run["id"]), rows)
        if report.complete:
            lifecycle.complete(get_run(store, run["id"]), report.exitcode or 0)
        stopped = bool(get_run(store, run["id"])["stop_requested"])
    return {"stopped": stopped, "exitcode": None, "limits": {}}


def _split(chunk: Chunk) -> Iterator[Chunk]:
    """A chunk in parts that are stored in some hundredths of a second each."""
    start = size = 0
    for place, line in enumerate(chunk.content):
        size += len(line)
        if place - start >= PART_LINES or (size > PART_LETTERS and place > start):
            yield Chunk.model_construct(offset=chunk.offset + start, content=chunk.content[start:place])
            start, size = place, len(line)
    if chunk.content:
        yield Chunk.model_construct(offset=chunk.offset + start, content=chunk.content[start:])


def _store_part(state: State, run: Row, client: str, stream: Stream, part: Chunk) -> None:
    numbers = number_lines(state.store, run["id"], stream, client, part.offset, len(part.content))
    rows = _store_lines(state, run, stream, part, numbers)
    if stream is Stream.HISTORY and rows and run["sweep"]:
        # Lines that came before have lower numbers than the rest, which follow on each other.
        _judge(state, run, numbers[-1] + 1 - len(rows), rows)


def _judge(state: State, run: Row, offset: int, rows: list[dict[str, Any]]) -> None:
    """Whether the sweep's early termination wants the run to stop."""
    sweep = state.store.one("SELECT * FROM sweeps WHERE project_id = ? AND name = ?", (run["project_id"], run["sweep"]))
    if sweep is None:
        return
    plan = parse_plan(sweep["config"])
    if plan.hyperband is not None and plan.metric is not None:
        values = [look_up(row, plan.metric) for row in rows]
        state.early_stop.follow(sweep, plan.hyperband, plan.goal, run, offset, values)


def _store_lines(state: State, run: Row, stream: Stream, chunk: Chunk, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Store the lines under their numbers; returns what was parsed of them."""
    if not chunk.content:
        return []
    parsed: list[dict[str, Any]] = []
    rows: list[tuple[int, Stream, int, int | None, str]] = []
    for number, line in zip(numbers, chunk.content, strict=True):
        if stream is Stream.CONSOLE:
            rows.append((run["id"], stream, number, None, line.rstrip("\n")))
        else:
            row = parse_object("A row", line)
            parsed.append(row)
            step = row.get("_step", number) if stream is Stream.HISTORY else None
            valid = isinstance(step, int) and abs(step) < 2**62
            rows.append((run["id"], stream, number, step if valid else None, dump_json(row)))
    state.store.connection.executemany("INSERT OR REPLACE INTO lines VALUES (?, ?, ?, ?, ?)", rows)
    if stream is Stream.EVENTS:
        state.store.update("runs", run["id"], system_metrics=rows[-1][4])
    return parsed
