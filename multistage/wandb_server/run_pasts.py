"""Runs with a past: forks of other runs, runs that are taken back to an earlier step; and the alerts that runs send."""

import json
from typing import Any

from multistage.wandb_server.context import Request, Resolvers
from multistage.wandb_server.history import Stream
from multistage.wandb_server.nodes import (
    DEFAULT_ENTITY,
    RefusedError,
    check_name,
    encode_node,
    get_run,
    parse_object,
    require_named_run,
)
from multistage.wandb_server.run_values import CLIENTS_OWN
from multistage.wandb_server.store import Row, Store, dump_json

STEP = "_step"
"""The only metric by which clients name a point of a run's past."""
MAX_TEXT = 10_000
MAX_ALERTS = 1_000
"""Of one run."""


def inherit_history(store: Store, run: Row) -> None:
    """Copy into a new run the history of the run that it is forked from, if it is.

    Raises:
        RefusedError: That run does not exist (404).
    """
    own = json.loads(run["config"]).get(CLIENTS_OWN)
    values = own.get("value") if isinstance(own, dict) else None
    match values.get("branch_point") if isinstance(values, dict) else None:
        case {"run_id": str(name), "step": int(step)}:
            parent = store.one("SELECT * FROM runs WHERE project_id = ? AND name = ?", (run["project_id"], name))
            if parent is None:
                raise RefusedError(f"The run {name[:40]!r} to fork from was not found.", 404)
            store.execute(
                "INSERT OR IGNORE INTO lines SELECT ?, stream, row_number() OVER (ORDER BY line) - 1, step, content "
                "FROM lines WHERE run_id = ? AND stream = ? AND step <= ?",
                (run["id"], parent["id"], Stream.HISTORY, step),
            )
            store.update("runs", run["id"], summary=_summarize(store, run["id"]))


def _summarize(store: Store, run_id: int) -> str:
    """The last value of each key of a run's history."""
    summary: dict[str, Any] = {}
    rows = store.execute(
        "SELECT content FROM lines WHERE run_id = ? AND stream = ? ORDER BY line", (run_id, Stream.HISTORY)
    )
    for row in rows:
        summary.update(json.loads(row["content"]))
    return dump_json(summary)


def _rewind(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    if given["metricName"] != STEP:
        raise RefusedError(f"A run is taken back to a value of {STEP!r}, not of {given['metricName'][:40]!r}.", 400)
    store = request.store
    run = require_named_run(request.store, given.get("entityName"), given.get("projectName"), given["runName"])
    with store.transaction():
        store.execute(
            "DELETE FROM lines WHERE run_id = ? AND stream = ? AND step > ?",
            (run["id"], Stream.HISTORY, given["metricValue"]),
        )
        store.update(
            "runs", run["id"], summary=_summarize(store, run["id"]), stop_requested=0, heartbeat_at=store.tick()
        )
        for table in ("progress", "bands"):
            store.execute(f"DELETE FROM {table} WHERE run_id = ?", (run["id"],))  # noqa: S608 - named above
    return {"rewoundRun": get_run(store, run["id"])}


def _alert(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    run = require_named_run(request.store, given.get("entityName"), given.get("projectName"), given["runName"])
    store = request.store
    if max(len(given["title"]), len(given["text"])) > MAX_TEXT:
        raise RefusedError(f"An alert's title and text have at most {MAX_TEXT} characters.", 400)
    with store.transaction():
        store.insert(
            "alerts",
            run_id=run["id"],
            title=given["title"],
            text=given["text"],
            severity=given.get("severity") or "INFO",
            created_at=store.tick(),
        )
        store.execute(
            "DELETE FROM alerts WHERE run_id = ? AND id NOT IN "
            "(SELECT id FROM alerts WHERE run_id = ? ORDER BY id DESC LIMIT ?)",
            (run["id"], run["id"], MAX_ALERTS),
        )
        store.update("runs", run["id"], heartbeat_at=store.tick())
    return {"success": True}


def _create_chart(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    store = request.store
    entity, name = given["entity"] or DEFAULT_ENTITY, check_name("chart", given["name"])
    parse_object("The chart's spec", given["spec"])
    with store.transaction():
        store.execute("DELETE FROM charts WHERE entity = ? AND name = ?", (entity, name))
        number = store.insert(
            "charts",
            entity=entity,
            name=name,
            display_name=given["displayName"],
            type=given["type"],
            access=given["access"],
            spec=given["spec"],
            created_at=store.tick(),
        )
    return {"chart": {"id": encode_node("Chart", number)}}


RESOLVERS: Resolvers = {
    "Mutation": {
        "rewindRun": _rewind,
        "notifyScriptableRunAlert": _alert,
        "createCustomChart": _create_chart,
    }
}
