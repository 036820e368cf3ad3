"""Agents: registered, heard, given runs."""

import json
import time
from collections.abc import Coroutine
from typing import Any

from multistage.wandb_server.context import Request, Resolvers
from multistage.wandb_server.controllers import answer_schedule, find_schedule, is_local
from multistage.wandb_server.filters import Clause
from multistage.wandb_server.history import Stream, count_lines
from multistage.wandb_server.lifecycle import LIVE
from multistage.wandb_server.nodes import (
    RefusedError,
    decode_node,
    encode_node,
    find_project,
    find_sweep,
    get_project,
    parse_object,
)
from multistage.wandb_server.pagination import fetch_page, parse_order
from multistage.wandb_server.run_resolvers import create_run
from multistage.wandb_server.run_values import unwrap_values, wrap_values
from multistage.wandb_server.searches import parse_config, parse_plan
from multistage.wandb_server.store import Row, Store, dump_json, format_time, generate_id
from multistage.wandb_server.sweep_resolvers import is_full

MAX_HOST = 256

Command = dict[str, Any]


def _create_agent(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    store = request.store
    project = find_project(store, given.get("entityName"), given.get("projectName"))
    sweep = find_sweep(store, project, given["sweep"])
    if sweep is None:
        raise RefusedError(f"Sweep {given['sweep'][:60]!r} not found.", 404)
    now = store.tick()
    with store.transaction():
        agent_id = store.insert(
            "agents",
            sweep_id=sweep["id"],
            name=generate_id(),
            host=given["host"][:MAX_HOST],
            created_at=now,
            heartbeat_at=now,
        )
    return {"agent": store.one("SELECT * FROM agents WHERE id = ?", (agent_id,))}


def _heartbeat(_: Any, request: Request, **arguments: Any) -> dict[str, Any] | Coroutine[Any, Any, dict[str, Any]]:
    given = arguments["input"]
    store = request.store
    match decode_node("Agent", given["id"]):
        case [name]:
            agent = store.one("SELECT * FROM agents WHERE name = ?", (name,))
        case _:
            agent = None
    if agent is None:
        raise RefusedError(f"Agent {given['id'][:60]!r} not found; its sweep may have been deleted.", 404)
    sweep = store.one("SELECT * FROM sweeps WHERE id = ?", (agent["sweep_id"],))
    assert sweep is not None  # noqa: S101 - a foreign key
    states = parse_object("The runs' state", given.get("runState") or "{}")
    listed = {name for name, running in states.items() if running}
    request.state.presence.note(agent["id"])
    commands = _decide(request, sweep, agent, listed)
    if commands is None:
        return _heartbeat_with_search(request, sweep, agent)
    return {"agent": agent, "commands": json.dumps(commands)}


async def _heartbeat_with_search(request: Request, sweep: Row, agent: Row) -> dict[str, Any]:
    return {"agent": agent, "commands": json.dumps(await _hand_out_proposal(request, sweep, agent))}


def _decide(request: Request, sweep: Row, agent: Row, listed: set[str]) -> list[Command] | None:
    """What an agent is told; None where the sweep's search has to be asked for a run."""
    lifecycle = request.state.lifecycle
    live = request.store.all(
        f"SELECT id, name, state, stop_requested FROM runs WHERE agent_id = ? AND {LIVE}",  # noqa: S608
        (agent["id"],),
    )
    for run in live:
        if run["name"] in listed:
            lifecycle.keep_alive(run["id"])
        else:
            lifecycle.miss(run["id"])
    match sweep["state"]:
        case "CANCELED":
            for run in live:
                lifecycle.miss(run["id"])
            return [{"type": "exit"}]
        case "FINISHED" if not listed:
            return [{"type": "exit"}]
        case "PENDING" | "RUNNING" if not listed:
            return _hand_out(request, sweep, agent)
        case _:
            return [
                {"type": "stop", "run_id": run["name"]}
                for run in live
                if run["stop_requested"] and run["name"] in listed
            ]


def _hand_out(request: Request, sweep: Row, agent: Row) -> list[Command] | None:
    """The next run of a sweep: one that was preempted, or the first in its queue; None leaves it to the search."""
    store = request.store
    if preempted := store.one(
        "SELECT * FROM runs WHERE project_id = ? AND sweep = ? AND state = 'preempted' ORDER BY id LIMIT 1",
        (sweep["project_id"], sweep["name"]),
    ):
        with store.transaction():
            store.update(
                "runs",
                preempted["id"],
                state="pending",
                agent_id=agent["id"],
                stop_requested=0,
                ended_at=None,
                exitcode=None,
                preemptions=preempted["preemptions"] + 1,
                attempt_row=count_lines(store, preempted["id"], Stream.HISTORY),
                heartbeat_at=store.tick(),
            )
        request.state.lifecycle.watch(preempted["id"])
        # What its script has added to its config is none of its arguments.
        given = json.loads(preempted["queued_config"] or preempted["config"])
        args = wrap_values(unwrap_values(given))
        return [_make_command("resume", sweep, preempted["name"], args)]
    if is_full(store, sweep):
        return _end_sweep(request, sweep)
    if is_local(sweep):
        return _hand_out_scheduled(request, sweep, agent)
    queued = store.one(
        "SELECT runs.id, runs.name, runs.config FROM queue JOIN runs ON runs.id = queue.run_id "
        "WHERE queue.sweep_id = ? ORDER BY queue.id LIMIT 1",
        (sweep["id"],),
    )
    if queued is None:
        return None if parse_plan(sweep["config"]).method else []
    with store.transaction():
        store.execute("DELETE FROM queue WHERE run_id = ?", (queued["id"],))
        store.update("runs", queued["id"], agent_id=agent["id"], heartbeat_at=store.tick())
        _begin(store, sweep)
    request.state.lifecycle.watch(queued["id"])
    return [_make_command("run", sweep, queued["name"], json.loads(queued["config"]))]


def _hand_out_scheduled(request: Request, sweep: Row, agent: Row) -> list[Command]:
    """The run that the sweep's local controller wants; the sweep ends where it wants none any more."""
    schedule = find_schedule(sweep)
    if schedule is None:
        return []
    if schedule.config is None:
        return _end_sweep(request, sweep)
    with request.store.transaction():
        run = _start_proposal(request, sweep, agent, schedule.config)
        answer_schedule(request.store, sweep, schedule, run["run_id"])
    return [run]


def _start_proposal(request: Request, sweep: Row, agent: Row, args: dict[str, Any]) -> Command:
    """Make the run that an agent starts with a config."""
    store, name, config = request.store, generate_id(), dump_json(args)
    with store.transaction():
        run_id = create_run(
            store,
            get_project(store, sweep["project_id"]),
            name,
            sweep=sweep["name"],
            agent_id=agent["id"],
            state="pending",
            config=config,
            queued_config=config,
        )
        _begin(store, sweep)
    request.state.lifecycle.watch(run_id)
    return _make_command("run", sweep, name, args)


def _begin(store: Store, sweep: Row) -> None:
    if sweep["state"] == "PENDING":
        store.update("sweeps", sweep["id"], state="RUNNING", updated_at=store.tick())


async def _hand_out_proposal(request: Request, sweep: Row, agent: Row) -> list[Command]:
    """A run with the config that the sweep's search proposes; the sweep ends where there is none left."""
    store = request.store
    async with request.state.searches.lock(sweep):
        proposal = None if is_full(store, sweep) else await request.state.searches.propose(sweep)
        current = store.one("SELECT * FROM sweeps WHERE id = ?", (sweep["id"],))
        if current is None or current["state"] not in ("PENDING", "RUNNING"):
            return []
        if proposal is None:
            return _end_sweep(request, current)
        return [_start_proposal(request, current, agent, {key: {"value": value} for key, value in proposal.items()})]


def _end_sweep(request: Request, sweep: Row) -> list[Command]:
    """End a sweep that starts no more runs, and with it what still waits in its queue."""
    store = request.store
    live = store.all(
        f"SELECT * FROM runs WHERE project_id = ? AND sweep = ? AND {LIVE}",  # noqa: S608
        (sweep["project_id"], sweep["name"]),
    )
    if any(run["agent_id"] is not None or run["state"] != "pending" for run in live):
        # A run that is under way may be preempted, and then wants an agent again.
        return []
    with store.transaction():
        for run in live:
            request.state.lifecycle.request_stop(run)
        store.update("sweeps", sweep["id"], state="FINISHED", updated_at=store.tick())
    return [{"type": "exit"}]


def _make_command(kind: str, sweep: Row, run_name: str, args: dict[str, Any]) -> Command:
    return {
        "type": kind,
        "run_id": run_name,
        "args": args,
        "program": parse_config(sweep["config"]).get("program"),
    }


def _is_present(agent: Row, request: Request) -> bool:
    age = time.time() - request.state.presence.recall(agent) / 1e6
    return bool(age < request.state.lifecycle.timing.run_timeout)


def _find_agent(sweep: Row, request: Request, agentName: str | None = None) -> Row | None:  # noqa: N803
    names = decode_node("Agent", agentName or "") or [agentName or ""]
    return request.store.one("SELECT * FROM agents WHERE sweep_id = ? AND name = ?", (sweep["id"], names[0]))


def _list_agents(sweep: Row, request: Request) -> dict[str, Any]:
    agents = request.store.all("SELECT * FROM agents WHERE sweep_id = ? ORDER BY id", (sweep["id"],))
    request.spend(len(agents))
    return {"edges": [{"node": agent} for agent in agents]}


def _page_runs(
    agent: Row,
    request: Request,
    after: str | None = None,
    before: str | None = None,  # noqa: ARG001 - the client never sends it
    first: int | None = None,
    last: int | None = None,  # noqa: ARG001 - the client never sends it
    order: str | None = None,
) -> dict[str, Any]:
    page = fetch_page(request.store, Clause("agent_id = ?", (agent["id"],)), parse_order(order), after, first)
    request.spend(1 + len(page["edges"]))
    return page


RESOLVERS: Resolvers = {
    "Mutation": {"createAgent": _create_agent, "agentHeartbeat": _heartbeat},
    "Sweep": {"agent": _find_agent, "agents": _list_agents},
    "Agent": {
        "id": lambda agent, _: encode_node("Agent", agent["name"]),
        "heartbeatAt": lambda agent, request: format_time(request.state.presence.recall(agent)),
        "state": lambda agent, request: "RUNNING" if _is_present(agent, request) else "FINISHED",
        "totalRuns": lambda agent, request: request.store.value(
            "SELECT count(*) FROM runs WHERE agent_id = ?", (agent["id"],)
        ),
        "runs": _page_runs,
    },
}
