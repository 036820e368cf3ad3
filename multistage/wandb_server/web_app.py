"""The HTTP side: routes, the key, bounds on bodies."""

import asyncio
import contextlib
import logging
import mimetypes
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from multistage.wandb_server import (
    agents,
    artifact_changes,
    artifact_collections,
    artifact_files,
    artifact_resolvers,
    file_stream,
    files,
    history,
    projects,
    run_pasts,
    run_resolvers,
    sweep_resolvers,
)
from multistage.wandb_server.bodies import read_body, receive_file
from multistage.wandb_server.context import Resolvers, State
from multistage.wandb_server.credentials import DRIVER_KEY, load_key
from multistage.wandb_server.early_stop import EarlyStop
from multistage.wandb_server.executor import Executor
from multistage.wandb_server.guard import Guard, refuse
from multistage.wandb_server.lifecycle import Lifecycle, Timing
from multistage.wandb_server.nodes import RefusedError, find_project, find_run
from multistage.wandb_server.pages.routes import build_routes
from multistage.wandb_server.presence import Presence
from multistage.wandb_server.questions import answer_question
from multistage.wandb_server.searches import Searches, parse_config
from multistage.wandb_server.shared_mode import read_client
from multistage.wandb_server.storage import Storage
from multistage.wandb_server.store import Store
from multistage.wandb_server.worker_scope import WORK_PATH, WORKER

logger = logging.getLogger(__name__)

MAX_STREAM_BODY = 50_000_000
REAP_SECONDS = 0.5
FLUSH_SECONDS = 5.0

RESOLVERS = (
    projects.RESOLVERS,
    run_resolvers.RESOLVERS,
    run_pasts.RESOLVERS,
    history.RESOLVERS,
    sweep_resolvers.RESOLVERS,
    agents.RESOLVERS,
    artifact_resolvers.RESOLVERS,
    artifact_collections.RESOLVERS,
    artifact_files.RESOLVERS,
    artifact_changes.RESOLVERS,
    files.RESOLVERS,
)


def open_state(folder: Path, timing: Timing) -> State:
    """Open a data folder."""
    key = load_key(folder / "key")
    store = Store(folder / "wandb.sqlite")
    lifecycle = Lifecycle(store, timing)
    return State(
        folder=folder,
        key=key,
        driver_key=load_key(folder / DRIVER_KEY),
        store=store,
        storage=Storage(folder / "files", key),
        lifecycle=lifecycle,
        presence=Presence(store),
        early_stop=EarlyStop(store, lifecycle),
        searches=Searches(store),
    )


def build_app(state: State) -> ASGIApp:
    """The server as an ASGI application."""
    executor = Executor(_merge(RESOLVERS))

    async def answer_graphql(http: HttpRequest) -> Response:
        return await answer_question(http, state, executor)

    async def answer_file_stream(http: HttpRequest) -> Response:
        report = await state.desk.look(file_stream.read_report, await read_body(http, MAX_STREAM_BODY))
        params = http.path_params
        names = params["entity"], params["project"], params["run"]
        await state.desk.take(_check_stream, state, http.scope.get(WORKER), *names)
        return JSONResponse(
            await state.desk.take(file_stream.receive, state, *names, report, read_client(http.headers))
        )

    async def answer_storage(http: HttpRequest) -> Response:
        run_id, name = http.path_params["run_id"], http.path_params["name"]
        if not await state.desk.take(_has_run, state, run_id):
            raise RefusedError("No such run.", 404)
        path = state.storage.locate(int(run_id), name)
        if http.method == "PUT":
            size, digest = await receive_file(http, path)
            await state.desk.take(files.note_upload, state.store, int(run_id), name, size, digest)
            return Response()
        if not path.exists():
            raise RefusedError("No such file.", 404)
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return FileResponse(path, media_type=media_type, headers=artifact_files.DOWNLOAD)

    async def answer_blob(http: HttpRequest) -> Response:
        project_id, digest = http.path_params["project_id"], http.path_params["digest"]
        if _read_id(project_id) is None:
            raise RefusedError("No such project.", 404)
        path = state.storage.locate_blob(int(project_id), digest)
        if http.method == "PUT":
            whole = not digest.startswith(("manifest-", "part-"))
            _, found = await receive_file(http, path, digest if whole else None)
            return Response(headers={"ETag": found})
        if not path.exists():
            raise RefusedError("No such file.", 404)
        return FileResponse(path, media_type="application/octet-stream", headers=artifact_files.DOWNLOAD)

    async def answer_work(http: HttpRequest) -> Response:
        worker = http.scope.get(WORKER)
        if worker is None:
            raise RefusedError("Only a worker's key says what there is to work for.", 404)
        return JSONResponse(await state.desk.take(_describe_work, state, worker))

    async def discard_telemetry(_: HttpRequest) -> Response:
        # wandb-core sends figures about itself here, without the key, and prints an error where it is refused.
        # Answered at once: what still comes of the body is thrown away as it comes.
        return Response(media_type="application/x-protobuf")

    async def answer_health(_: HttpRequest) -> Response:
        return JSONResponse({"status": "ok"})

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        state.desk.open()
        task = state.desk.begin(keep_house, state)
        yield
        task.cancel()
        await state.desk.take(_end, state)
        state.desk.close()

    app = Starlette(
        routes=[
            Route("/healthz", answer_health),
            Route("/sdk/otel/v1/{signal}", discard_telemetry, methods=["POST"]),
            Route(WORK_PATH, answer_work),
            Route("/graphql", answer_graphql, methods=["POST"]),
            Route("/files/{entity}/{project}/{run}/file_stream", answer_file_stream, methods=["POST"]),
            Route("/storage/runs/{run_id}/{name:path}", answer_storage, methods=["GET", "PUT"]),
            Route("/storage/blobs/{project_id}/{digest:path}", answer_blob, methods=["GET", "PUT"]),
            *artifact_files.build_download_routes(state),
            *build_routes(state),
        ],
        exception_handlers={
            RefusedError: _answer_refusal,
            OverflowError: _answer_unstorable,
            UnicodeError: _answer_unstorable,
            RecursionError: _answer_unstorable,
            sqlite3.OperationalError: _answer_disk,
            OSError: _answer_disk,
            ClientDisconnect: _answer_nobody,
        },
        lifespan=lifespan,
    )
    return Guard(app, state.key, state.driver_key)


def _answer_refusal(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - registered for it
    return refuse(error.message, error.status or 400)


def _answer_unstorable(_: HttpRequest, error: Exception) -> Response:
    # What no column and no JSON text can hold: integers beyond 64 bits, halves of surrogate pairs.
    return refuse(f"The request holds a value that cannot be stored: {error}.", 400)


def _answer_nobody(_: HttpRequest, __: Exception) -> Response:
    # The client went away before all of its request had come.
    return Response(status_code=400)


def _answer_disk(_: HttpRequest, error: Exception) -> Response:
    # A full or failing disk: nothing was stored, and the client tries again later.
    logger.error("Nothing could be stored: %s", error)
    return refuse(f"The server cannot store this now: {error}.", 503)


def _read_id(text: str) -> int | None:
    """A row's id from an address; None where no row can have it."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _describe_work(state: State, worker: str) -> dict[str, object]:
    """The stages of a worker's sweep, the latest last."""
    try:
        scope = state.scopes.find(state.store, worker)
    except RefusedError as error:
        raise RefusedError(error.message, 410) from error
    rows = state.store.all("SELECT * FROM sweeps WHERE project_id = ? ORDER BY id", (scope.project["id"],))
    stages = [
        {"sweep_id": row["name"], "name": str(parse_config(row["config"]).get("name") or ""), "state": row["state"]}
        for row in rows
        if row["name"] in scope.sweeps
    ]
    return {"entity": scope.project["entity"], "project": scope.project["name"], "stages": stages}


def _check_stream(state: State, worker: str | None, entity: str, project: str, name: str) -> None:
    """Refuse the report of a run that is none of a worker's business."""
    if worker is None:
        return
    scope = state.scopes.find(state.store, worker)
    run = find_run(state.store, find_project(state.store, entity, project), name)
    if run is not None and not scope.may_report(run):
        raise RefusedError("A worker's key does not open another sweep's run.", 403)


def _has_run(state: State, text: str) -> bool:
    run_id = _read_id(text)
    return run_id is not None and state.store.one("SELECT id FROM runs WHERE id = ?", (run_id,)) is not None


def _merge(parts: tuple[Resolvers, ...]) -> Resolvers:
    merged: dict[str, dict[str, Callable[..., object]]] = {}
    for part in parts:
        for type_name, fields in part.items():
            merged.setdefault(type_name, {}).update(fields)
    return merged


async def keep_house(state: State) -> None:
    """Settle silent runs, write agents' heartbeats and the log, for as long as the server lives."""
    elapsed = 0.0
    while True:
        await asyncio.sleep(REAP_SECONDS)
        elapsed += REAP_SECONDS
        try:
            for run_id in state.lifecycle.reap():
                logger.info("Run %s has not been heard from and is settled", run_id)
            if elapsed >= FLUSH_SECONDS:
                elapsed = 0.0
                state.presence.flush()
                if state.store.wants_checkpoint():
                    await state.desk.look(state.store.checkpoint)
        except (sqlite3.OperationalError, OSError) as error:
            logger.error("The housekeeping is tried again, as the database refused it: %s", error)


def _end(state: State) -> None:
    """Write what is left, and close."""
    try:
        state.presence.flush()
        state.store.close()
    except (sqlite3.OperationalError, OSError) as error:
        logger.error("Not all could be written at the end: %s", error)
