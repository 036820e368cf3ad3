"""What the pages tell of sweeps: the stage that each is, its neighbours, its agents."""

import math
import re
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

import yaml

from multistage.domain.space.distributions import BOUNDED, SweepParameter, parse_parameters
from multistage.domain.sweep.sweep_config import SearchPlan, read_plan
from multistage.errors import SpaceError
from multistage.wandb_server.searches import parse_config
from multistage.wandb_server.store import Reader, Row
from multistage.wandb_server.sweep_resolvers import count_expected

STAGE = re.compile(r"(?P<name>.+) stage (?P<stage>[1-9]) \((?P<uid>[^()]+)\)")
"""How the multi-stage sweep calls the sweep of a stage."""
FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The plain loader takes milliseconds for each."""
MAX_AGENTS = 200
MAX_SWEEPS = 500


class StageName(NamedTuple):
    """Which stage of which multi-stage sweep."""

    name: str
    stage: int
    uid: str


def parse_stage(title: str) -> StageName | None:
    """Read a sweep's title; None where it is a sweep of its own."""
    found = STAGE.fullmatch(title)
    return StageName(found["name"], int(found["stage"]), found["uid"]) if found else None


class Outline(NamedTuple):
    """What a sweep's config says in short."""

    name: str | None
    method: str
    plan: SearchPlan
    expected: int | None


@lru_cache(maxsize=4096)
def read_outline(config: str) -> Outline:
    """Read a sweep's config; a project's page reads every sweep's, again and again.

    Raises:
        SpaceError: It cannot be searched; none such was ever stored.
    """
    found = yaml.load(config, FastLoader)  # noqa: S506 - a safe loader
    name, scheduler = found.get("name"), found.get("scheduler")
    plan = read_plan(found)
    told = scheduler.get("runs") if isinstance(scheduler, dict) else None
    return Outline(
        name=None if name is None else str(name),
        method=str(found.get("method", "custom")),
        plan=plan,
        expected=told if isinstance(told, int) else count_expected(plan),
    )


def name_sweep(sweep: Row) -> str:
    """A sweep's title: what it is called in W&B's pages."""
    return str(sweep["display_name"] or read_outline(sweep["config"]).name or sweep["name"])


def list_sweeps(store: Reader, project: Row) -> list[dict[str, Any]]:
    """A project's sweeps, newest first."""
    rows = store.all("SELECT * FROM sweeps WHERE project_id = ? ORDER BY id DESC LIMIT ?", (project["id"], MAX_SWEEPS))
    return [_outline(sweep) for sweep in rows]


def _outline(sweep: Row) -> dict[str, Any]:
    title = name_sweep(sweep)
    outline = read_outline(sweep["config"])
    plan = outline.plan
    stage = parse_stage(title)
    return {
        "id": sweep["name"],
        "title": title,
        "stage": stage and stage._asdict(),
        "state": sweep["state"].lower(),
        "made": sweep["created_at"] // 1000,
        "method": outline.method,
        "expected": outline.expected,
        "metric": plan.metric,
        "goal": plan.goal,
        "stops_early": plan.hyperband is not None,
    }


def describe_sweep(store: Reader, project: Row, sweep: Row) -> dict[str, Any]:
    """What the page of a sweep tells beside its runs."""
    return {
        **_outline(sweep),
        "queued": store.value("SELECT count(*) FROM queue WHERE sweep_id = ?", (sweep["id"],)),
        "parameters": [_describe(one) for one in _list_swept(sweep)],
        "stages": _list_stages(store, project, sweep),
    }


def _list_swept(sweep: Row) -> list[SweepParameter]:
    try:
        parameters = parse_parameters(parse_config(sweep["config"]).get("parameters"))
    except SpaceError:
        # Whoever proposes the runs of such a sweep need not keep to W&B's distributions.
        return []
    return [parameter for parameter in parameters if parameter.is_range or len(parameter.values) > 1]


def _describe(parameter: SweepParameter) -> dict[str, Any]:
    bounds: list[Any] = [None, None]
    if parameter.kind in BOUNDED:
        ends = sorted(parameter.pick(unit) for unit in (0.0, 1.0))
        bounds = [end if math.isfinite(end) else None for end in ends]
    return {
        "name": parameter.name,
        "scale": "log" if "log" in parameter.kind else "linear" if parameter.is_range else None,
        "bounds": bounds,
    }


def _list_stages(store: Reader, project: Row, sweep: Row) -> list[dict[str, Any]]:
    stage = parse_stage(name_sweep(sweep))
    if stage is None:
        return []
    # The unique part of the name stands in the config's text, unless somebody renamed the sweep.
    rows = store.all(
        "SELECT * FROM sweeps WHERE project_id = ? AND (instr(config, ?) OR instr(display_name, ?)) ORDER BY id",
        (project["id"], stage.uid, stage.uid),
    )
    found = []
    for row in rows:
        other = parse_stage(name_sweep(row))
        if other is not None and (other.name, other.uid) == (stage.name, stage.uid):
            counts = store.all(
                "SELECT state, stop_requested, count(*) FROM runs WHERE project_id = ? AND sweep = ? "
                "GROUP BY state, stop_requested",
                (project["id"], row["name"]),
            )
            found.append(
                {
                    "id": row["name"],
                    "stage": other.stage,
                    "state": row["state"].lower(),
                    "expected": read_outline(row["config"]).expected,
                    "counts": [tuple(count) for count in counts],
                }
            )
    return sorted(found, key=lambda one: (one["stage"], one["id"]))


def list_agents(store: Reader, sweep: Row) -> list[dict[str, Any]]:
    """A sweep's agents, the last heard first."""
    rows = store.all(
        "SELECT name, host, created_at, heartbeat_at, "
        "(SELECT count(*) FROM runs WHERE agent_id = agents.id) AS runs, "
        "(SELECT name FROM runs WHERE agent_id = agents.id AND state IN ('pending', 'running', 'preempting') "
        "ORDER BY id DESC LIMIT 1) AS run FROM agents WHERE sweep_id = ? ORDER BY heartbeat_at DESC, id DESC LIMIT ?",
        (sweep["id"], MAX_AGENTS),
    )
    return [
        {
            "id": agent["name"],
            "host": agent["host"],
            "since": agent["created_at"] // 1000,
            "heard": agent["heartbeat_at"] // 1000,
            "runs": agent["runs"],
            "run": agent["run"],
        }
        for agent in rows
    ]


def make_path(*parts: str) -> str:
    """A page's address on this server."""
    return "/" + "/".join(quote(part, safe="") for part in parts)
