"""The HTTP side: routes, the key, bounds on bodies."""

import asyncio
import contextlib
import logging
import mimetypes
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio.to_thread
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from multistage.wandb_server import (
    agents,
    artifact_changes,
    artifacts,
    file_stream,
    files,
    history,
    projects,
    runs,
    sweeps,
)
from multistage.wandb_server.bodies import parse_body, read_body, receive_file
from multistage.wandb_server.credentials import load_key
from multistage.wandb_server.early_stop import EarlyStop
from multistage.wandb_server.executor import Executor
from multistage.wandb_server.guard import Guard, refuse
from multistage.wandb_server.lifecycle import Lifecycle, Timing
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.pages.routes import build_routes
from multistage.wandb_server.presence import Presence
from multistage.wandb_server.searches import Searches
from multistage.wandb_server.state import Request, Resolvers, State
from multistage.wandb_server.storage import Storage
from multistage.wandb_server.store import Store

logger = logging.getLogger(__name__)

MAX_GRAPHQL_BODY = 20_000_000
MAX_STREAM_BODY = 50_000_000
MAX_TELEMETRY = 10_000_000
REAP_SECONDS = 0.5
FLUSH_SECONDS = 5.0

RESOLVERS = (
    projects.RESOLVERS,
    runs.RESOLVERS,
    history.RESOLVERS,
    sweeps.RESOLVERS,
    agents.RESOLVERS,
    artifacts.RESOLVERS,
    artifact_changes.RESOLVERS,
    files.RESOLVERS,
)


DOWNLOAD = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
"""Never rendered by a browser: an uploaded page must not act in this server's name."""


def open_state(folder: Path, timing: Timing) -> State:
    """Open a data folder."""
    key = load_key(folder / "key")
    store = Store(folder / "wandb.sqlite")
    lifecycle = Lifecycle(store, timing)
    return State(
        folder=folder,
        key=key,
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
        body = parse_body(await read_body(http, MAX_GRAPHQL_BODY))
        query, variables = body.get("query"), body.get("variables") or {}
        operation = body.get("operationName")
        if not isinstance(query, str) or not isinstance(variables, dict) or not isinstance(operation, str | None):
            raise RefusedError("A GraphQL request needs a query, and an object of variables.", 400)
        request = Request(state, str(http.base_url).rstrip("/"))
        answer = await executor.execute(query, variables, operation, request)
        return JSONResponse(answer.body, answer.status)

    async def answer_file_stream(http: HttpRequest) -> Response:
        try:
            report = file_stream.Report.model_validate_json(await read_body(http, MAX_STREAM_BODY))
        except ValidationError as error:
            raise RefusedError(f"Invalid file stream: {error.errors()[0]['msg']}.", 400) from error
        params = http.path_params
        return JSONResponse(file_stream.receive(state, params["entity"], params["project"], params["run"], report))

    async def answer_storage(http: HttpRequest) -> Response:
        run_id, name = int(http.path_params["run_id"]), http.path_params["name"]
        if run_id >= 2**63 or state.store.one("SELECT id FROM runs WHERE id = ?", (run_id,)) is None:
            raise RefusedError("No such run.", 404)
        path = state.storage.locate(run_id, name)
        if http.method == "PUT":
            size, digest = await receive_file(http, path)
            with state.store.transaction():
                state.store.execute(
                    "INSERT OR REPLACE INTO files (run_id, name, size, md5, updated_at) VALUES (?, ?, ?, ?, ?)",
                    (run_id, name, size, digest, state.store.tick()),
                )
            return Response()
        if not path.exists():
            raise RefusedError("No such file.", 404)
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return FileResponse(path, media_type=media_type, headers=DOWNLOAD)

    async def answer_blob(http: HttpRequest) -> Response:
        project_id, digest = int(http.path_params["project_id"]), http.path_params["digest"]
        path = state.storage.locate_blob(project_id, digest)
        if http.method == "PUT":
            _, found = await receive_file(http, path, None if digest.startswith("manifest-") else digest)
            return Response(headers={"ETag": found})
        if not path.exists():
            raise RefusedError("No such file.", 404)
        return FileResponse(path, media_type="application/octet-stream", headers=DOWNLOAD)

    async def discard_telemetry(http: HttpRequest) -> Response:
        # wandb-core sends figures about itself here, without the key, and prints an error where it is refused.
        await read_body(http, MAX_TELEMETRY)
        return Response(media_type="application/x-protobuf")

    async def answer_health(_: HttpRequest) -> Response:
        return JSONResponse({"status": "ok"})

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(keep_house(state))
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        state.presence.flush()
        state.store.close()

    app = Starlette(
        routes=[
            Route("/healthz", answer_health),
            Route("/sdk/otel/v1/{signal}", discard_telemetry, methods=["POST"]),
            Route("/graphql", answer_graphql, methods=["POST"]),
            Route("/files/{entity}/{project}/{run}/file_stream", answer_file_stream, methods=["POST"]),
            Route("/storage/runs/{run_id:int}/{name:path}", answer_storage, methods=["GET", "PUT"]),
            Route("/storage/blobs/{project_id:int}/{digest:path}", answer_blob, methods=["GET", "PUT"]),
            *build_routes(state),
        ],
        exception_handlers={
            RefusedError: _answer_refusal,
            OverflowError: _answer_unstorable,
            UnicodeError: _answer_unstorable,
            RecursionError: _answer_unstorable,
            sqlite3.OperationalError: _answer_disk,
            OSError: _answer_disk,
        },
        lifespan=lifespan,
    )
    return Guard(app, state.key)


def _answer_refusal(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - registered for it
    return refuse(error.message, error.status or 400)


def _answer_unstorable(_: HttpRequest, error: Exception) -> Response:
    # What no column and no JSON text can hold: integers beyond 64 bits, halves of surrogate pairs.
    return refuse(f"The request holds a value that cannot be stored: {error}.", 400)


def _answer_disk(_: HttpRequest, error: Exception) -> Response:
    # A full or failing disk: nothing was stored, and the client tries again later.
    logger.error("Nothing could be stored: %s", error)
    return refuse(f"The server cannot store this now: {error}.", 503)


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
                logger.info("Run %s went silent and is settled", run_id)
            if elapsed >= FLUSH_SECONDS:
                elapsed = 0.0
                state.presence.flush()
                if state.store.wants_checkpoint():
                    await anyio.to_thread.run_sync(state.store.checkpoint)
        except sqlite3.OperationalError:
            logger.exception("The database refused the housekeeping; it is tried again")
