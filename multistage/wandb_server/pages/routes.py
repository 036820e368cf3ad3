"""The addresses of the pages, and of the data that their scripts ask for; and of what drivers tell of their sweeps."""

import gzip
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from multistage.wandb_server.bodies import read_body
from multistage.wandb_server.context import State
from multistage.wandb_server.filters import Clause
from multistage.wandb_server.history import Stream
from multistage.wandb_server.nodes import RefusedError, find_project, find_run, find_sweep
from multistage.wandb_server.pages import door, login_links
from multistage.wandb_server.pages.curves import read_metric_curves, read_series
from multistage.wandb_server.pages.listing import list_changes
from multistage.wandb_server.pages.run_page import describe_run, list_files, read_log, read_media
from multistage.wandb_server.pages.sweep_pages import (
    describe_sweep,
    list_agents,
    list_sweeps,
    make_path,
    name_sweep,
    parse_stage,
)
from multistage.wandb_server.store import Reader, Row
from multistage.wandb_server.summaries import (
    MAX_SUMMARY,
    dump_summary,
    find_summary,
    has_summary,
    keep_summary,
    list_summaries,
    list_summary_changes,
    parse_summary,
)
from multistage.wandb_server.sweep_resolvers import select_runs

MAX_CURVES = 40
MAX_PROJECTS = 500
COMPRESSED = 2_000
"""Bytes from which an answer is worth compressing."""

Answer = Callable[["Look"], Any]


class Look:
    """One look at the database: what a page's address names, as it is at this moment.

    Args:
        http: The request.
        state: The server.
        reader: The database.
    """

    def __init__(self, http: Request, state: State, reader: Reader) -> None:
        self.http = http
        self.state = state
        self.reader = reader
        self.names: dict[str, str] = http.path_params

    @property
    def project(self) -> Row:
        """The project of the address."""
        return self._require(
            find_project(self.reader, self.names["entity"], self.names["project"]), self.names["project"]
        )

    @property
    def sweep(self) -> Row:
        """The sweep of the address."""
        return self._require(find_sweep(self.reader, self.project, self.names["sweep"]), self.names["sweep"])

    @property
    def run(self) -> Row:
        """The run of the address."""
        return self._require(find_run(self.reader, self.project, self.names["run"]), self.names["run"])

    def read_number(self, name: str, otherwise: int | None = None) -> int | None:
        """A number from the address's query."""
        text = self.http.query_params.get(name, "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else otherwise

    def now(self) -> int:
        """The server's time in ms: a phone's clock may be wrong."""
        return time.time_ns() // 1_000_000

    def render(self, kind: str, title: str, **values: Any) -> Response:
        """A page of the project."""
        entity, project = self.names["entity"], self.names["project"]
        return door.render(
            f"{kind}.html",
            kind=kind,
            title=title,
            entity=entity,
            project=project,
            base=make_path(entity, project),
            make_path=make_path,
            **values,
        )

    def _require(self, row: Row | None, name: str) -> Row:
        if row is None:
            raise RefusedError(f"There is no {name[:60]!r} here.", 404)
        return row


def build_routes(state: State) -> list[Route]:
    """The pages, for the server's list of routes."""
    project, run, sweep = "/{entity}/{project}", "/runs/{run}", "/sweeps/{sweep}"
    stages = f"{login_links.SWEEPS_PATH}{{uid}}"
    pages: dict[str, Answer] = {
        "/": _show_home,
        stages: _show_stages,
        project: _show_project,
        project + run: _show_run,
        project + sweep: _show_sweep,
    }
    data: dict[str, Answer] = {
        "/-/changes": _follow_home,
        f"{stages}/changes": _follow_stages,
        f"{project}/changes": _follow_project,
        f"{project}/curves": _draw_curves,
        f"{project}{sweep}/changes": _follow_sweep,
        f"{project}{run}/changes": _follow_run,
        f"{project}{run}/log": _read_earlier,
    }
    return [
        Route(f"{login_links.ASSETS_PATH}{{version}}/{{name}}", door.answer_asset),
        Route(login_links.LOGIN_PATH, partial(_login, state=state), methods=["GET", "POST"]),
        Route(stages, partial(_take_summary, state=state), methods=["PUT"]),
        *(Route(path, partial(_answer_data, state=state, answer=answer)) for path, answer in data.items()),
        *(Route(path, partial(_answer_page, state=state, answer=answer)) for path, answer in pages.items()),
    ]


async def _login(http: Request, state: State) -> Response:
    return await door.answer_login(http, state.key)


async def _take_summary(http: Request, state: State) -> Response:
    """Take what a driver tells of its sweep; the guard lets nobody else come here."""
    uid = http.path_params["uid"]

    def read(body: bytes) -> tuple[str, str, list[tuple[str, str]]]:
        summary = parse_summary(uid, body)
        return summary.name, *dump_summary(summary)

    name, content, runs = await state.desk.look(read, await read_body(http, MAX_SUMMARY))
    await state.desk.take(keep_summary, state.store, uid, name, content, runs)
    return Response(status_code=204, headers=door.HEADERS)


async def _answer_page(http: Request, state: State, answer: Answer) -> Response:
    try:
        return await state.desk.look(_read, http, state, answer)
    except RefusedError as error:
        if error.status == 404 and "text/html" in http.headers.get("accept", ""):
            return door.render("missing.html", 404, message=error.message)
        raise


async def _answer_data(http: Request, state: State, answer: Answer) -> Response:
    def read() -> Response:
        content = json.dumps(_read(http, state, answer), separators=(",", ":")).encode()
        headers = door.HEADERS | {"Vary": "Accept-Encoding"}
        if len(content) > COMPRESSED and "gzip" in http.headers.get("accept-encoding", ""):
            content, headers["Content-Encoding"] = gzip.compress(content, compresslevel=1), "gzip"
        return Response(content, media_type="application/json", headers=headers)

    return await state.desk.look(read)


def _read(http: Request, state: State, answer: Answer) -> Any:
    with state.store.snapshot() as reader:
        return answer(Look(http, state, reader))


def _show_home(look: Look) -> Response:
    return door.render("home.html", kind="home", title="Sweeps and projects", **_follow_home(look))


def _follow_home(look: Look) -> dict[str, Any]:
    return {"now": look.now(), "projects": _list_projects(look), "sweeps": list_summaries(look.reader)}


def _show_stages(look: Look) -> Response:
    found = find_summary(look.reader, look.names["uid"])
    return door.render("stages.html", kind="stages", title=found["name"])


def _follow_stages(look: Look) -> dict[str, Any]:
    since = look.read_number("since", 0) or 0
    return {"now": look.now(), **list_summary_changes(look.reader, look.names["uid"], since)}


def _list_projects(look: Look) -> list[dict[str, Any]]:
    live = {
        row["project_id"]: row["live"]
        for row in look.reader.all(
            "SELECT project_id, count(*) AS live FROM runs WHERE state IN ('pending', 'running', 'preempting') "
            "GROUP BY project_id"
        )
    }
    projects = look.reader.all(
        "SELECT id, entity, name, created_at, (SELECT count(*) FROM runs WHERE project_id = projects.id) AS runs, "
        "(SELECT count(*) FROM sweeps WHERE project_id = projects.id) AS sweeps, "
        "(SELECT max(heartbeat_at) FROM runs WHERE project_id = projects.id) AS heard "
        "FROM projects ORDER BY coalesce(heard, created_at) DESC LIMIT ?",
        (MAX_PROJECTS,),
    )
    return [
        {
            "name": f"{row['entity']}/{row['name']}",
            "path": make_path(row["entity"], row["name"]),
            "runs": row["runs"],
            "sweeps": row["sweeps"],
            "live": live.get(row["id"], 0),
            "heard": (row["heard"] or row["created_at"]) // 1000,
        }
        for row in projects
    ]


def _show_project(look: Look) -> Response:
    project = look.project
    return look.render("project", project["name"], has_sweeps=bool(list_sweeps(look.reader, project)))


def _follow_project(look: Look) -> dict[str, Any]:
    project = look.project
    runs = list_changes(look.reader, Clause("project_id = ?", (project["id"],)), look.read_number("since", 0) or 0)
    return {"now": look.now(), "runs": runs, "sweeps": list_sweeps(look.reader, project)}


def _show_sweep(look: Look) -> Response:
    sweep = look.sweep
    title = name_sweep(sweep)
    described = describe_sweep(look.reader, look.project, sweep)
    stage = parse_stage(title)
    whole = stage and has_summary(look.reader, stage.uid) and f"{login_links.SWEEPS_PATH}{stage.uid}"
    return look.render("sweep", title, sweep=described, stage=stage, whole=whole, config=sweep["config"])


def _follow_sweep(look: Look) -> dict[str, Any]:
    sweep = look.sweep
    return {
        "now": look.now(),
        "silent": look.state.lifecycle.timing.run_timeout,
        "sweep": describe_sweep(look.reader, look.project, sweep),
        "agents": list_agents(look.reader, sweep),
        "runs": list_changes(look.reader, select_runs(sweep), look.read_number("since", 0) or 0),
    }


def _draw_curves(look: Look) -> dict[str, Any]:
    names = look.http.query_params.getlist("run")[:MAX_CURVES]
    return read_metric_curves(look.reader, look.project["id"], names, look.http.query_params.get("metric", ""))


def _show_run(look: Look) -> Response:
    run = describe_run(look.reader, look.project, look.run)
    return look.render("run", run["title"], run=run)


def _follow_run(look: Look) -> dict[str, Any]:
    run, reader, storage = look.run, look.reader, look.state.storage
    changed: int = max(
        run["heartbeat_at"],
        reader.value("SELECT max(updated_at) FROM files WHERE run_id = ?", (run["id"],)) or 0,
    )
    answer: dict[str, Any] = {
        "now": look.now(),
        "revision": changed,
        "history": read_series(reader, run["id"], Stream.HISTORY, look.read_number("history", 0) or 0),
        "system": read_series(reader, run["id"], Stream.EVENTS, look.read_number("system", 0) or 0),
        "log": read_log(reader, run, look.read_number("log"), None),
        "media": read_media(reader, storage, run, look.read_number("media", 0) or 0),
    }
    if changed > (look.read_number("since", 0) or 0):
        answer["run"] = describe_run(reader, look.project, run)
        answer["files"] = list_files(reader, storage, run)
    return answer


def _read_earlier(look: Look) -> dict[str, Any]:
    return read_log(look.reader, look.run, None, look.read_number("before"))
