"""The HTTP side: routes, the key, bounds on bodies."""

import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import mimetypes
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio.to_thread
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from multistage.wandb_server import agents, file_stream, files, history, pages, projects, runs, sweeps
from multistage.wandb_server.credentials import check_basic, check_signature, load_key
from multistage.wandb_server.early_stop import EarlyStop
from multistage.wandb_server.executor import Executor
from multistage.wandb_server.lifecycle import Lifecycle, Timing
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.presence import Presence
from multistage.wandb_server.searches import Searches
from multistage.wandb_server.state import Request, Resolvers, State
from multistage.wandb_server.storage import Storage
from multistage.wandb_server.store import Store

logger = logging.getLogger(__name__)

MAX_GRAPHQL_BODY = 20_000_000
MAX_STREAM_BODY = 100_000_000
MAX_TELEMETRY = 10_000_000
MAX_UPLOAD = 5 * 2**30
OPEN_PATHS = ("/healthz", "/sdk/otel/v1/metrics", "/sdk/otel/v1/logs", "/sdk/otel/v1/traces")
"""What answers without the key; nothing is read or stored there."""

REAP_SECONDS = 0.5
FLUSH_SECONDS = 5.0

RESOLVERS = (
    projects.RESOLVERS,
    runs.RESOLVERS,
    history.RESOLVERS,
    sweeps.RESOLVERS,
    agents.RESOLVERS,
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
        # Never rendered by a browser: an uploaded page must not act in this server's name.
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return FileResponse(path, media_type=media_type, headers=headers)

    async def answer_page(http: HttpRequest) -> Response:
        return HTMLResponse(pages.render(state, http.path_params))

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
            Route("/", answer_page),
            Route("/{entity}/{project}", answer_page),
            Route("/{entity}/{project}/runs/{run}", answer_page),
            Route("/{entity}/{project}/sweeps/{sweep}", answer_page),
        ],
        lifespan=lifespan,
    )
    return Guard(app, state.key)


class Guard:
    """Lets nothing pass without the key, and answers what the application refuses.

    Args:
        app: The application behind it.
        key: The API key.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self.key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        http = HttpRequest(scope)
        if not self._may_pass(http):
            refusal = JSONResponse(
                {"errors": [{"message": "The API key is missing or wrong (user `api`, password the key)."}]},
                401,
                {"WWW-Authenticate": 'Basic realm="multistage-sweep, user api, password the API key"'},
            )
            await refusal(scope, receive, send)
            return
        try:
            await self.app(scope, receive, watch)
        except RefusedError as error:
            if started:
                raise
            await _refuse(error.message, error.status or 400)(scope, receive, send)
        except sqlite3.OperationalError as error:
            # A full or busy disk: nothing was stored, and the client tries again later.
            logger.exception("The database refused a request")
            if started:
                raise
            await _refuse(f"The server cannot store this now: {error}.", 503)(scope, receive, send)

    def _may_pass(self, http: HttpRequest) -> bool:
        path = http.url.path
        if path in OPEN_PATHS or check_basic(http.headers.get("authorization"), self.key):
            return True
        if path.startswith("/storage/runs/"):
            signed = http.scope["path"].removeprefix("/storage/runs/")
            signature = http.query_params.get("signature", "")
            return check_signature(self.key, http.method, signed, signature)
        return False


def _refuse(message: str, status: int) -> JSONResponse:
    return JSONResponse({"errors": [{"message": message}]}, status)


def _merge(parts: tuple[Resolvers, ...]) -> Resolvers:
    merged: dict[str, dict[str, Callable[..., object]]] = {}
    for part in parts:
        for type_name, fields in part.items():
            merged.setdefault(type_name, {}).update(fields)
    return merged


async def read_body(http: HttpRequest, limit: int) -> bytes:
    """A request's body.

    Raises:
        RefusedError: It is larger than the limit (413).
    """
    chunks, size = [], 0
    async for chunk in http.stream():
        size += len(chunk)
        if size > limit:
            raise RefusedError(f"The body is larger than {limit} bytes.", 413)
        chunks.append(chunk)
    return b"".join(chunks)


def parse_body(body: bytes) -> dict[str, object]:
    """A JSON object from a body.

    Raises:
        RefusedError: The body is something else.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"The body is no JSON: {error}.", 400) from error
    if not isinstance(value, dict):
        raise RefusedError("The body must be a JSON object.", 400)
    return value


async def receive_file(http: HttpRequest, path: Path) -> tuple[int, str]:
    """Store an upload atomically: the file appears when all of it is there.

    Returns:
        Its size in bytes, and its MD5 as W&B writes it (base64).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    size, digest = 0, hashlib.md5(usedforsecurity=False)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in http.stream():
                size += len(chunk)
                if size > MAX_UPLOAD:
                    raise RefusedError(f"The file is larger than {MAX_UPLOAD} bytes.", 413)
                digest.update(chunk)
                await anyio.to_thread.run_sync(file.write, chunk)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return size, base64.b64encode(digest.digest()).decode()


async def keep_house(state: State) -> None:
    """Settle silent runs and write agents' heartbeats, for as long as the server lives."""
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
        except sqlite3.OperationalError:
            logger.exception("The database refused the housekeeping; it is tried again")
