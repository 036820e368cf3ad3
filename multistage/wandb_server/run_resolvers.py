"""What clients ask about runs and change in them."""

import json
from typing import Any

from multistage.wandb_server.artifact_collections import delete_artifact
from multistage.wandb_server.context import Request, Resolvers
from multistage.wandb_server.history import Stream, count_lines, find_steps
from multistage.wandb_server.lifecycle import LIVE_STATES, RUN_STATES
from multistage.wandb_server.nodes import (
    RefusedError,
    check_name,
    ensure_project,
    find_node,
    find_project,
    find_run,
    find_sweep,
    get_project,
    get_run,
    name_node,
    parse_object,
)
from multistage.wandb_server.projects import USER
from multistage.wandb_server.run_pasts import inherit_history
from multistage.wandb_server.store import Row, Store, dump_json, format_time, generate_id

COLUMNS = {
    "groupName": "run_group",
    "description": "description",
    "displayName": "display_name",
    "notes": "notes",
    "commit": "commit_hash",
    "host": "host",
    "jobProgram": "program",
    "jobRepo": "repo",
    "jobType": "job_type",
}
"""Fields of UpsertBucketInput that are a column of their own."""


def require_run(request: Request, node_id: str) -> Row:
    """A run by its node id.

    Raises:
        RefusedError: There is none (404).
    """
    run = find_node(request.store, "Run", node_id)
    if run is None:
        raise RefusedError(f"Run {node_id[:60]!r} not found.", 404)
    return run


def _upsert_bucket(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    with request.store.transaction():
        if given.get("id"):
            run, inserted = require_run(request, given["id"]), False
        else:
            run, inserted = _start_run(request, given)
        request.store.update("runs", run["id"], **_read_changes(given), heartbeat_at=request.store.tick())
        if inserted:
            inherit_history(request.store, get_run(request.store, run["id"]))
        return {"bucket": get_run(request.store, run["id"]), "inserted": inserted}


def _read_changes(given: dict[str, Any]) -> dict[str, Any]:
    changes = {column: given[name] for name, column in COLUMNS.items() if given.get(name) is not None}
    for name, column in (("config", "config"), ("summaryMetrics", "summary")):
        if given.get(name) is not None:
            changes[column] = dump_json(parse_object(name, given[name]))
    if given.get("tags") is not None:
        changes["tags"] = dump_json(given["tags"])
    return changes


def _start_run(request: Request, given: dict[str, Any]) -> tuple[Row, bool]:
    """The run that wandb.init names: made, started, or taken up again."""
    store, lifecycle = request.store, request.state.lifecycle
    state = given.get("state") or "running"
    if state not in RUN_STATES:
        raise RefusedError(f"Unknown run state {state[:40]!r}; known are {', '.join(RUN_STATES)}.", 400)
    name = check_name("run id", given.get("name") or generate_id())
    project = _find_home(store, given) or ensure_project(store, given.get("entityName"), given.get("modelName"))
    now = store.tick()
    run = find_run(store, project, name)
    if run is None:
        sweep = given.get("sweep")
        if sweep and find_sweep(store, project, sweep) is None:
            raise RefusedError(f"Sweep {sweep[:40]!r} not found in project {project['name']!r}.", 404)
        run_id = create_run(request.store, project, name, sweep=sweep or None, state=state, started_at=now)
        if state != "pending":
            lifecycle.watch(run_id)
        return get_run(store, run_id), True
    if run["state"] not in ("running", "preempting"):
        resumed = run["state"] not in LIVE_STATES
        store.update(
            "runs",
            run["id"],
            state=state,
            started_at=run["started_at"] or now,
            ended_at=None,
            exitcode=None,
            stop_requested=0 if resumed else run["stop_requested"],
        )
    lifecycle.watch(run["id"])
    return run, False


def _find_home(store: Store, given: dict[str, Any]) -> Row | None:
    """Find the project of a run that its sweep has handed out, where the client names another project.

    As does a script that sets ``WANDB_PROJECT`` or ``WANDB_ENTITY``: the client goes on with the project in the answer.
    """
    sweep, name = given.get("sweep"), given.get("name")
    if not sweep or not name:
        return None
    named = find_project(store, given.get("entityName"), given.get("modelName"))
    if find_sweep(store, named, sweep) is not None:
        return None
    homes = store.all(
        "SELECT project_id FROM runs WHERE name = ? AND sweep = ? AND agent_id IS NOT NULL LIMIT 2", (name, sweep)
    )
    return get_project(store, homes[0]["project_id"]) if len(homes) == 1 else None


def create_run(store: Store, project: Row, name: str, **values: Any) -> int:
    """Insert a run, with a display name where none is given. Returns its row's id."""
    store.execute("UPDATE projects SET runs_made = runs_made + 1 WHERE id = ?", (project["id"],))
    now = store.tick()
    if not values.get("display_name"):
        values["display_name"] = f"run-{get_project(store, project['id'])['runs_made']}"
    run_id: int = store.insert("runs", project_id=project["id"], name=name, created_at=now, heartbeat_at=now, **values)
    return run_id


def _stop_run(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    with request.store.transaction():
        request.state.lifecycle.request_stop(require_run(request, arguments["input"]["id"]))
    return {"success": True}


def _delete_run(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    run = require_run(request, given["id"])
    with request.store.transaction():
        if given.get("deleteArtifacts"):
            for artifact in request.store.all("SELECT * FROM artifacts WHERE run_id = ?", (run["id"],)):
                delete_artifact(request, artifact)
        request.store.execute("DELETE FROM runs WHERE id = ?", (run["id"],))
    request.state.lifecycle.forget(run["id"])
    request.state.storage.delete_run(run["id"])
    sweep = find_sweep(request.store, get_project(request.store, run["project_id"]), run["sweep"])
    if sweep is not None:
        request.state.searches.forget(sweep)
    return {"clientMutationId": None}


def _update_state(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    run = require_run(request, arguments["input"]["id"])
    target = arguments["input"]["state"]
    allowed = {"pending": ("running", "failed", "crashed", "preempted"), "failed": ("pending", "running")}
    if run["sweep"] or run["state"] not in allowed.get(target, ()):
        raise RefusedError(f"A run cannot go from {run['state']} to {target[:40]!r}.", 400)
    with request.store.transaction():
        if target == "failed":
            request.state.lifecycle.settle(run["id"], "failed", None)
        else:
            request.state.lifecycle.forget(run["id"])
            request.store.update("runs", run["id"], state="pending", ended_at=None, heartbeat_at=request.store.tick())
    return {"success": True}


def _describe_keys(run: Row, request: Request) -> dict[str, Any]:
    _, step = find_steps(request.store, run["id"])
    count = count_lines(request.store, run["id"], Stream.HISTORY)
    keys = {
        key: {
            "typeCounts": [{"type": _name_type(value), "count": count}],
            "monotonic": False,
            "previousValue": value,
        }
        for key, value in json.loads(run["summary"]).items()
        if key != "_wandb"
    }
    return {"lastStep": -1 if step is None else step, "keys": keys, "sets": []}


def _name_type(value: Any) -> str:
    match value:
        case bool() | None:
            return "boolean" if isinstance(value, bool) else "nil"
        case int() | float():
            return "number"
        case str():
            return "string"
        case _:
            return "map" if isinstance(value, dict) else "list"


def _pick_config(run: Row, _: Request, keys: list[str] | None = None) -> str:
    # A script may have written anything where the client keeps its own.
    match json.loads(run["config"]).get("_wandb"):
        case {"value": dict(values)}:
            return dump_json({key: values[key] for key in keys or values if key in values})
        case _:
            return "{}"


RESOLVERS: Resolvers = {
    "Mutation": {
        "upsertBucket": _upsert_bucket,
        "stopRun": _stop_run,
        "deleteRun": _delete_run,
        "updateRunState": _update_state,
    },
    "UpsertBucketPayload": {"serverSettings": lambda _, __: {"serverMessages": []}},
    "Run": {
        "id": lambda run, request: name_node(request.store, "Run", run),
        "sweepName": lambda run, _: run["sweep"],
        "sweep": lambda run, request: find_sweep(
            request.store, get_project(request.store, run["project_id"]), run["sweep"]
        ),
        "stopped": lambda run, _: bool(run["stop_requested"]),
        "shouldStop": lambda run, _: bool(run["stop_requested"]) and run["state"] in LIVE_STATES,
        "failed": lambda run, _: run["state"] in ("failed", "crashed"),
        "running": lambda run, _: run["state"] in LIVE_STATES,
        "wandbConfig": _pick_config,
        "group": lambda run, _: run["run_group"],
        "commit": lambda run, _: run["commit_hash"],
        "readOnly": lambda _, __: False,
        "tags": lambda run, _: json.loads(run["tags"]),
        "updatedAt": lambda run, _: format_time(run["heartbeat_at"]),
        "summaryMetrics": lambda run, _: run["summary"],
        "historyKeys": _describe_keys,
        "user": lambda _, __: USER,
        "project": lambda run, request: get_project(request.store, run["project_id"]),
    },
}
