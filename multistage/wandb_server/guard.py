"""The door: nothing passes without the key."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from multistage.wandb_server.credentials import check_basic, check_signature

OPEN_PATHS = ("/healthz", "/sdk/otel/v1/metrics", "/sdk/otel/v1/logs", "/sdk/otel/v1/traces")
"""What answers without the key; nothing is read or stored there."""

CHALLENGE = {"WWW-Authenticate": 'Basic realm="multistage-sweep, user api, password the API key"'}


def refuse(message: str, status: int) -> JSONResponse:
    """An error as GraphQL clients read it."""
    return JSONResponse({"errors": [{"message": message}]}, status)


class Guard:
    """Lets through who has the key, or a link that was signed with it.

    Args:
        app: The application behind it.
        key: The API key.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self.key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        app = self.app
        if scope["type"] == "http" and not self._may_pass(Request(scope)):
            message = "The API key is missing or wrong (user `api`, password the key)."
            app = JSONResponse({"errors": [{"message": message}]}, 401, CHALLENGE)
        await app(scope, receive, send)

    def _may_pass(self, http: Request) -> bool:
        path = http.scope["path"]
        if path in OPEN_PATHS or check_basic(http.headers.get("authorization"), self.key):
            return True
        if path.startswith("/storage/"):
            signature = http.query_params.get("signature", "")
            return check_signature(self.key, http.method, path, signature)
        return False
