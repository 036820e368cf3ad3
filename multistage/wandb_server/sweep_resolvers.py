"""Sweeps: made, changed, stopped, filled with queued runs."""

import math
from typing import Any, Literal, get_args

from multistage.domain.sweep.sweep_config import SearchPlan
from multistage.wandb_server.context import Request, Resolvers
from multistage.wandb_server.controllers import read_controller
from multistage.wandb_server.filters import NUMBERS, Clause, resolve_field, translate_filters
from multistage.wandb_server.lifecycle import CONSOLE_SUFFIX, ENDED_SWEEPS, LIVE
from multistage.wandb_server.nodes import (
    RefusedError,
    encode_node,
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
from multistage.wandb_server.pagination import MAX_PAGE, fetch_page, parse_order
from multistage.wandb_server.projects import USER
from multistage.wandb_server.run_resolvers import create_run
from multistage.wandb_server.run_values import wrap_values
from multistage.wandb_server.searches import parse_config, parse_plan
from multistage.wandb_server.store import Row, Store, dump_json, generate_id

SweepState = Literal["PENDING", "RUNNING", "PAUSED", "CANCELED", "FINISHED"]
SWEEP_STATES: tuple[SweepState, ...] = get_args(SweepState)


def _upsert_sweep(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    store = request.store
    with store.transaction():
        sweep = _require_sweep(request, given) if given.get("id") else _make_sweep(request, given)
        _change_sweep(request, sweep, given)
        changed = store.one("SELECT * FROM sweeps WHERE id = ?", (sweep["id"],))
    return {"sweep": changed, "configValidationWarnings": []}


def _require_sweep(request: Request, given: dict[str, Any]) -> Row:
    store, sweep_id = request.store, given["id"]
    sweep = find_node(store, "Sweep", sweep_id) or find_sweep(
        store, find_project(store, given.get("entityName"), given.get("projectName")), sweep_id
    )
    if sweep is None:
        raise RefusedError(f"Sweep {sweep_id[:60]!r} not found.", 404)
    return sweep


def _make_sweep(request: Request, given: dict[str, Any]) -> Row:
    store = request.store
    if given.get("config") is None:
        raise RefusedError("A new sweep needs a config.", 400)
    parse_plan(given["config"])
    project = ensure_project(store, given.get("entityName"), given.get("projectName"))
    now = store.tick()
    name = generate_id()
    store.insert(
        "sweeps",
        project_id=project["id"],
        name=name,
        state="PENDING",
        config=given["config"],
        created_at=now,
        updated_at=now,
    )
    sweep = find_sweep(store, project, name)
    assert sweep is not None  # noqa: S101 - just made
    return sweep


def _change_sweep(request: Request, sweep: Row, given: dict[str, Any]) -> None:
    columns = {
        "config": "config",
        "description": "description",
        "displayName": "display_name",
        "controller": "controller",
        "scheduler": "scheduler",
        "priorRunsFilters": "prior_runs_filters",
    }
    changes = {column: given[name] for name, column in columns.items() if given.get(name) is not None}
    if "config" in changes:
        parse_plan(changes["config"])
    if "scheduler" in changes:
        parse_object("The scheduler", changes["scheduler"])
    if "prior_runs_filters" in changes:
        _adopt_prior_runs(request, sweep, changes["prior_runs_filters"])
    state = (given.get("state") or sweep["state"]).upper()
    if state not in SWEEP_STATES:
        raise RefusedError(f"Unknown sweep state {state[:40]!r}; known are {', '.join(SWEEP_STATES)}.", 400)
    request.store.update("sweeps", sweep["id"], **changes, state=state, updated_at=request.store.tick())
    if "controller" in changes:
        _stop_early(request, sweep, read_controller(changes["controller"]).get("earlystop", []))
    if state == "CANCELED" and sweep["state"] != "CANCELED":
        live = request.store.all(
            f"SELECT * FROM runs WHERE project_id = ? AND sweep = ? AND {LIVE}",  # noqa: S608
            (sweep["project_id"], sweep["name"]),
        )
        for run in live:
            request.state.lifecycle.request_stop(run)


def _stop_early(request: Request, sweep: Row, names: list[Any]) -> None:
    """Ask the runs to stop that the sweep's controller names."""
    for name in names:
        run = find_run(request.store, get_project(request.store, sweep["project_id"]), str(name))
        if run is not None and run["sweep"] == sweep["name"]:
            request.state.lifecycle.request_stop(run)


def _adopt_prior_runs(request: Request, sweep: Row, filters: str) -> None:
    condition = translate_filters(filters)
    request.store.execute(
        "INSERT OR IGNORE INTO prior_runs (sweep_id, run_id) "  # noqa: S608 - translated, no request text
        f"SELECT ?, id FROM runs WHERE project_id = ? AND ({condition.sql})",
        (sweep["id"], sweep["project_id"], *condition.parameters),
    )


def _enqueue_run(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    store = request.store
    sweep = find_node(store, "Sweep", given["id"])
    if sweep is None:
        raise RefusedError(f"Sweep {given['id'][:60]!r} not found.", 404)
    if sweep["state"] in ENDED_SWEEPS:
        raise RefusedError(f"Sweep {sweep['name']!r} is {sweep['state'].lower()}; it takes no more runs.", 400)
    config = dump_json(wrap_values(parse_object("The run's config", given["config"])))
    display_name = given.get("displayName")
    with store.transaction():
        run = _find_enqueued(store, sweep, display_name, config)
        if run is None:
            run_id = create_run(
                store,
                get_project(store, sweep["project_id"]),
                generate_id(),
                sweep=sweep["name"],
                state="pending",
                display_name=display_name,
                config=config,
                queued_config=config,
            )
            store.insert("queue", sweep_id=sweep["id"], run_id=run_id)
            run = get_run(store, run_id)
    # Its name, not its node id: the client's scheduler asks for runs by it.
    return {"id": run["name"], "runQueueItemId": encode_node("QueueItem", run["id"])}


def _find_enqueued(store: Store, sweep: Row, display_name: str | None, config: str) -> Row | None:
    """The run that the same request made before: the client asks again where its answer was lost on the way."""
    if not display_name:
        return None
    runs = select_runs(sweep)
    return store.one(
        f"SELECT * FROM runs WHERE {runs.sql} AND display_name = ? AND queued_config = ? LIMIT 1",  # noqa: S608
        (*runs.parameters, display_name, config),
    )


def select_runs(sweep: Row) -> Clause:
    """The runs of a sweep."""
    return Clause("project_id = ? AND sweep = ?", (sweep["project_id"], sweep["name"]))


def is_full(store: Store, sweep: Row) -> bool:
    """Whether as many runs of a sweep were started as its ``run_cap`` allows."""
    cap = parse_plan(sweep["config"]).run_cap
    if cap is None:
        return False
    runs = select_runs(sweep)
    started: int = store.value(
        f"SELECT count(*) FROM runs WHERE {runs.sql} "  # noqa: S608
        "AND (agent_id IS NOT NULL OR started_at IS NOT NULL)",
        runs.parameters,
    )
    return started >= cap


def count_runs(store: Store, sweep: Row) -> int:
    """How many runs a sweep has had."""
    runs = select_runs(sweep)
    count: int = store.value(f"SELECT count(*) FROM runs WHERE {runs.sql}", runs.parameters)  # noqa: S608
    return count


def expect_runs(sweep: Row) -> int | None:
    """How many runs a sweep will have; None where that is open."""
    return count_expected(parse_plan(sweep["config"]))


def count_expected(plan: SearchPlan) -> int | None:
    """How many runs a plan leads to; None where that is open."""
    size = math.prod(len(parameter.values) for parameter in plan.parameters) if plan.method == "grid" else None
    bounds = [bound for bound in (size, plan.run_cap) if bound is not None]
    return min(bounds, default=None)


def _page_runs(sweep: Row, request: Request, after: str | None = None, first: int | None = None) -> dict[str, Any]:
    size = MAX_PAGE if first is None else first
    page = fetch_page(request.store, select_runs(sweep), parse_order("+created_at"), after, size)
    request.spend(1 + len(page["edges"]))
    if first is None and page["pageInfo"]["hasNextPage"]:
        # The client's own sweep commands ask for no page and expect every run.
        rest = _page_runs(sweep, request, page["pageInfo"]["endCursor"])
        return {"edges": page["edges"] + rest["edges"], "pageInfo": rest["pageInfo"]}
    return page


def _page_prior_runs(
    sweep: Row, request: Request, after: str | None = None, first: int | None = None, filters: str | None = None
) -> dict[str, Any]:
    chosen = translate_filters(filters)
    condition = Clause(
        f"id IN (SELECT run_id FROM prior_runs WHERE sweep_id = ?) AND ({chosen.sql})",  # noqa: S608
        (sweep["id"], *chosen.parameters),
    )
    page = fetch_page(request.store, condition, parse_order("+created_at"), after, first)
    request.spend(1 + len(page["edges"]))
    return page


def _name_controller_run(sweep: Row, _: Request) -> str | None:
    # `wandb sweep-scheduler` writes its console into a run of this name, which it makes itself.
    return sweep["name"] + CONSOLE_SUFFIX if parse_config(sweep["config"]).get("scheduler") else None


def _find_best(sweep: Row, request: Request) -> float | None:
    metric = parse_config(sweep["config"]).get("metric")
    if not isinstance(metric, dict) or not isinstance(metric.get("name"), str):
        return None
    try:
        field = resolve_field(f"summary_metrics.{metric['name']}")
    except RefusedError:
        return None
    function = "max" if metric.get("goal") == "maximize" else "min"
    runs = select_runs(sweep)
    value = request.store.value(
        f"SELECT {function}(value) FROM (SELECT {field.sql} AS value, {field.kind} AS kind FROM runs "  # noqa: S608
        f"WHERE {runs.sql}) WHERE kind IN {NUMBERS} AND abs(value) < 9e999",
        (*field.parameters, *field.parameters, *runs.parameters),
    )
    return None if value is None else float(value)


RESOLVERS: Resolvers = {
    "Mutation": {"upsertSweep": _upsert_sweep, "enqueueSweepRun": _enqueue_run},
    "Sweep": {
        "id": lambda sweep, request: name_node(request.store, "Sweep", sweep),
        "method": lambda sweep, _: str(parse_config(sweep["config"]).get("method", "custom")),
        "bestLoss": _find_best,
        "controllerRunName": _name_controller_run,
        "earlyStopJobRunning": lambda _, __: False,
        "heartbeatAt": lambda _, __: None,
        "runCount": lambda sweep, request: count_runs(request.store, sweep),
        "runCountExpected": lambda sweep, _: expect_runs(sweep),
        "runs": _page_runs,
        "priorRuns": _page_prior_runs,
        "user": lambda _, __: USER,
        "project": lambda sweep, request: get_project(request.store, sweep["project_id"]),
    },
}
