"""The pages behind the links that wandb prints: plain HTML, everything escaped."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from multistage.wandb_server.filters import Clause
from multistage.wandb_server.nodes import RefusedError, find_project, find_run, find_sweep
from multistage.wandb_server.pagination import fetch_page, parse_order
from multistage.wandb_server.state import State
from multistage.wandb_server.store import Row, format_time
from multistage.wandb_server.sweeps import select_runs

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #222; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
pre { background: #f5f5f5; padding: 1rem; overflow-x: auto; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; } a { color: #0550ae; }
@media (prefers-color-scheme: dark) { body { background: #1b1b1b; color: #ddd; } pre { background: #2a2a2a; }
  a { color: #79b8ff; } th, td { border-color: #444; } }
"""
MAX_ROWS = 500


def render(state: State, names: Mapping[str, str]) -> str:
    """The page of a project, a run or a sweep; of all projects where none is named.

    Raises:
        RefusedError: There is no such thing (404).
    """
    if "project" not in names:
        return _render_projects(state)
    project = find_project(state.store, names["entity"], names["project"])
    if "run" in names:
        run = find_run(state.store, project, names["run"])
        return _render_run(names, run) if run else _miss(names["run"])
    if "sweep" in names:
        sweep = find_sweep(state.store, project, names["sweep"])
        return _render_sweep(state, names, sweep) if sweep else _miss(names["sweep"])
    return _render_project(state, names, project) if project else _miss(names["project"])


def _miss(name: str) -> str:
    raise RefusedError(f"There is no {name[:60]!r} here.", 404)


def _render_projects(state: State) -> str:
    rows = state.store.all("SELECT * FROM projects ORDER BY id DESC LIMIT ?", (MAX_ROWS,))
    links = [[_link(f"{row['entity']}/{row['name']}", row["entity"], row["name"])] for row in rows]
    return _page("Projects", _table(["project"], links))


def _render_project(state: State, names: Mapping[str, str], project: Row) -> str:
    sweeps = state.store.all(
        "SELECT * FROM sweeps WHERE project_id = ? ORDER BY id DESC LIMIT ?", (project["id"], MAX_ROWS)
    )
    rows = [
        [
            _link(sweep["display_name"] or sweep["name"], *_base(names), "sweeps", sweep["name"]),
            escape(sweep["state"].lower()),
            _format(sweep["created_at"]),
        ]
        for sweep in sweeps
    ]
    runs = _render_runs(state, names, Clause("project_id = ?", (project["id"],)))
    sweeps_part = f"<h2>Sweeps</h2>{_table(['sweep', 'state', 'made'], rows)}" if rows else ""
    return _page(f"{names['entity']}/{names['project']}", f"{sweeps_part}<h2>Runs</h2>{runs}")


def _render_sweep(state: State, names: Mapping[str, str], sweep: Row) -> str:
    waiting = state.store.value("SELECT count(*) FROM queue WHERE sweep_id = ?", (sweep["id"],))
    body = (
        f"<p>{_link(names['project'], *_base(names))} · {escape(sweep['state'].lower())}"
        f" · {waiting} queued</p>"
        f"{_render_runs(state, names, select_runs(sweep))}<h2>Config</h2><pre>{escape(sweep['config'])}</pre>"
    )
    return _page(f"Sweep {sweep['display_name'] or sweep['name']}", body)


def _render_runs(state: State, names: Mapping[str, str], condition: Clause) -> str:
    page = fetch_page(state.store, condition, parse_order("-created_at"), None, MAX_ROWS)
    rows = [
        [
            _link(run["display_name"] or run["name"], *_base(names), "runs", run["name"]),
            escape(run["state"]),
            _format(run["created_at"]),
            escape(_summarize(run)),
        ]
        for run in (edge["node"] for edge in page["edges"])
    ]
    more = "<p>Older ones are left out.</p>" if page["pageInfo"]["hasNextPage"] else ""
    return _table(["run", "state", "made", "summary"], rows) + more


def _render_run(names: Mapping[str, str], run: Row) -> str:
    sweep = ""
    if run["sweep"]:
        sweep = " · sweep " + _link(run["sweep"], *_base(names), "sweeps", run["sweep"])
    ended = f" · ended {_format(run['ended_at'])}" if run["ended_at"] else ""
    body = (
        f"<p>{_link(names['project'], *_base(names))}{sweep} · {escape(run['state'])}"
        f" · made {_format(run['created_at'])}{ended}</p>"
        f"<h2>Summary</h2>{_render_values(json.loads(run['summary']))}"
        f"<h2>Config</h2>{_render_values(_unwrap(json.loads(run['config'])))}"
    )
    return _page(f"Run {run['display_name'] or run['name']}", body)


def _unwrap(config: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value["value"] if isinstance(value, dict) and "value" in value else value for key, value in config.items()
    }


def _render_values(values: dict[str, Any]) -> str:
    rows = [
        [escape(key), escape(value if isinstance(value, str) else json.dumps(value))]
        for key, value in sorted(values.items())
        if not key.startswith("_")
    ]
    return _table(["key", "value"], rows)


def _summarize(run: Row) -> str:
    values = [
        f"{key} {value:.6g}"
        for key, value in json.loads(run["summary"]).items()
        if isinstance(value, int | float) and not key.startswith("_")
    ]
    return ", ".join(values[:4])


def _base(names: Mapping[str, str]) -> tuple[str, str]:
    return names["entity"], names["project"]


def _link(text: str, *parts: str) -> str:
    path = "/".join(quote(part, safe="") for part in parts)
    return f'<a href="/{path}">{escape(text)}</a>'


def _format(microseconds: int) -> str:
    return format_time(microseconds)[:19].replace("T", " ")


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
        f"<h1>{escape(title)}</h1>{body}</html>"
    )
