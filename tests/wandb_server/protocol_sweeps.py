"""Sweeps and agents at the level of the protocol."""

import json
from typing import Any

from tests.wandb_server.server_requests import Session

HEARTBEAT = "mutation M($id: ID!, $s: JSONString) {agentHeartbeat(input: {id: $id, runState: $s}) {commands}}"
ENQUEUE = (
    "mutation M($id: ID!, $c: JSONString!, $n: String) "
    "{enqueueSweepRun(input: {id: $id, config: $c, displayName: $n}) {id}}"
)
CREATE_AGENT = (
    'mutation M($p: String, $s: String!) {createAgent(input: {host: "h", projectName: $p, sweep: $s}) {agent {id}}}'
)
CUSTOM = "method: custom\nprogram: train.py\nscheduler: {engine: none}\n"


def make_agent(session: Session, project: str, config: str = CUSTOM, sweep: str | None = None) -> tuple[str, str]:
    """A sweep, a new one unless one is given, and an agent of it, as node ids."""
    sweep = sweep or session.make_sweep(project, config)
    [name] = [
        edge["node"]["name"]
        for edge in session.ask("query Q($p: String) {project(name: $p) {sweeps {edges {node {id name}}}}}", p=project)[
            "project"
        ]["sweeps"]["edges"]
        if edge["node"]["id"] == sweep
    ]
    return sweep, session.ask(CREATE_AGENT, p=project, s=name)["createAgent"]["agent"]["id"]


def beat(session: Session, agent: str, *running: str) -> list[dict[str, Any]]:
    """One heartbeat of an agent; returns what it is told."""
    answer = session.ask(HEARTBEAT, id=agent, s=json.dumps(dict.fromkeys(running, True)))
    commands: list[dict[str, Any]] = json.loads(answer["agentHeartbeat"]["commands"])
    return commands


def get_states(session: Session, project: str) -> list[str]:
    """The states of a project's runs, oldest first."""
    return [run["state"] for run in session.list_runs(project)]
