"""The door: nothing passes without the key, apart from looks at pages by a browser that logged in."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from multistage.wandb_server.connections import TRUSTED
from multistage.wandb_server.credentials import check_basic, check_signature, read_worker_key
from multistage.wandb_server.pages import login_links
from multistage.wandb_server.pages.door import answer_stranger
from multistage.wandb_server.worker_scope import WORK_PATH, WORKER

OPEN_PATHS = ("/healthz", login_links.LOGIN_PATH, "/sdk/otel/v1/metrics", "/sdk/otel/v1/logs", "/sdk/otel/v1/traces")
"""What answers without the key; nothing is read or stored there."""

GRAPHQL, STREAM = "/graphql", "/file_stream"

CHALLENGE = {"WWW-Authenticate": 'Basic realm="multistage-sweep, user api, password the API key"'}


MISSING_KEY = (
    "The API key is missing or wrong (user `api`, password the key). This is the embedded server of multistage-sweep, "
    "whose key is its own and none of W&B's: take wandb.login(key=...) and WANDB_API_KEY out of the script; a sweep "
    "gives its runs the key by the environment."
)


def refuse(message: str, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as GraphQL clients read it."""
    return JSONResponse({"errors": [{"message": message}]}, status, headers)


def _is_for_workers(http: Request) -> bool:
    """Whether a worker's key opens an address; what it may ask for there is looked at later."""
    path = http.scope["path"]
    streams = http.method == "POST" and path.startswith("/files/") and path.endswith(STREAM)
    return streams or path in (GRAPHQL, WORK_PATH, *OPEN_PATHS)


class Guard:
    """Lets through who has the key, or a link that was signed with it; a worker's key opens little.

    Args:
        app: The application behind it.
        key: The API key.
        driver_key: Opens what is told of multi-stage sweeps, and nothing else; nothing else writes there.
    """

    def __init__(self, app: ASGIApp, key: str, driver_key: str) -> None:
        self.app = app
        self.key = key
        self.driver_key = driver_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        app = self.app
        if scope["type"] == "http":
            http = Request(scope)
            if http.method not in ("GET", "HEAD") and login_links.is_foreign(http):
                # A browser may hold the key (HTTP Basic): no other site's page may use it.
                app = refuse("A page of another site may not write here.", 403)
            elif self._is_driver(http):
                scope[TRUSTED] = True
            elif self._is_known(http):
                scope[TRUSTED] = True
                if http.method not in ("GET", "HEAD") and http.scope["path"].startswith(login_links.SWEEPS_PATH):
                    app = refuse("Only the process that drives a sweep may report on it.", 403)
            elif (sweep := read_worker_key(http.headers.get("authorization"), self.key)) is not None:
                scope[TRUSTED], scope[WORKER] = True, sweep
                if not _is_for_workers(http):
                    app = refuse("A worker's key does not open this.", 403)
            elif not self._is_open(http):
                app = answer_stranger(http) or refuse(MISSING_KEY, 401, CHALLENGE)
        await app(scope, receive, send)

    def _is_driver(self, http: Request) -> bool:
        told = http.scope["path"].startswith(login_links.SWEEPS_PATH)
        return told and check_basic(http.headers.get("authorization"), self.driver_key)

    def _is_open(self, http: Request) -> bool:
        path = http.scope["path"]
        return path in OPEN_PATHS or path.startswith(login_links.ASSETS_PATH)

    def _is_known(self, http: Request) -> bool:
        if check_basic(http.headers.get("authorization"), self.key):
            return True
        path = http.scope["path"]
        if path.startswith("/storage/"):
            signature = http.query_params.get("signature", "")
            return check_signature(self.key, http.method, path, signature)
        return login_links.may_look(http, self.key)
