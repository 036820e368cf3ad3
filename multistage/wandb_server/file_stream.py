"""The file stream: how a run sends its rows, its summary, its console, and its end."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from multistage.wandb_server.history import Stream, look_up
from multistage.wandb_server.lifecycle import LIVE_STATES
from multistage.wandb_server.nodes import RefusedError, find_project, find_run, get_run, parse_object
from multistage.wandb_server.searches import parse_plan
from multistage.wandb_server.state import State
from multistage.wandb_server.store import Row, dump_json

STREAMS = {
    "wandb-history.jsonl": Stream.HISTORY,
    "wandb-events.jsonl": Stream.EVENTS,
    "output.log": Stream.CONSOLE,
}
SUMMARY = "wandb-summary.json"

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


def receive(state: State, entity: str, project: str, run_name: str, report: Report) -> dict[str, Any]:
    """Take in one report of a run; all of it is stored before the answer, or none.

    The same report may come twice: lines are stored under their number.

    Returns:
        The answer's body; ``stopped`` asks the run to end itself.

    Raises:
        RefusedError: There is no such run (404), or a row is no JSON object (400).
    """
    store, lifecycle = state.store, state.lifecycle
    run = find_run(store, find_project(store, entity, project), run_name)
    if run is None:
        raise RefusedError(f"Run {run_name[:40]!r} not found.", 404)
    with store.transaction():
        for name, chunk in (report.files or {}).items():
            if name in STREAMS:
                rows = _store_lines(state, run, STREAMS[name], chunk)
                if STREAMS[name] is Stream.HISTORY and rows and run["sweep"]:
                    _judge(state, run, chunk.offset, rows)
            elif name == SUMMARY and chunk.content:
                summary = dump_json(parse_object("The summary", chunk.content[-1]))
                store.update("runs", run["id"], summary=summary, heartbeat_at=store.tick())
        if run["state"] in LIVE_STATES or run["state"] == "crashed":
            lifecycle.report(run)
        if report.preempting and run["state"] in LIVE_STATES:
            store.update("runs", run["id"], state="preempting", heartbeat_at=store.tick())
        if report.complete:
            lifecycle.complete(get_run(store, run["id"]), report.exitcode or 0)
        stopped = bool(get_run(store, run["id"])["stop_requested"])
    return {"stopped": stopped, "exitcode": None, "limits": {}}


def _judge(state: State, run: Row, offset: int, rows: list[dict[str, Any]]) -> None:
    """Whether the sweep's early termination wants the run to stop."""
    sweep = state.store.one("SELECT * FROM sweeps WHERE project_id = ? AND name = ?", (run["project_id"], run["sweep"]))
    if sweep is None:
        return
    plan = parse_plan(sweep["config"])
    if plan.hyperband is not None and plan.metric is not None:
        values = [look_up(row, plan.metric) for row in rows]
        state.early_stop.follow(sweep, plan.hyperband, plan.goal, run, offset, values)


def _store_lines(state: State, run: Row, stream: Stream, chunk: Chunk) -> list[dict[str, Any]]:
    """Store the lines under their numbers; returns what was parsed of them."""
    if not chunk.content:
        return []
    parsed: list[dict[str, Any]] = []
    rows: list[tuple[int, Stream, int, int | None, str]] = []
    for number, line in enumerate(chunk.content, start=chunk.offset):
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
