"""The pages as they leave the server: templates, headers, assets, and what a stranger sees."""

import hashlib
import mimetypes
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp

from multistage.wandb_server.bodies import read_body
from multistage.wandb_server.credentials import check_key
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.pages import login_links

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Of all that pages consist of: nothing runs that is not this server's own file, and nothing is read elsewhere."""

MAX_FORM = 10_000
FORM_PATIENCE = 5.0
"""Seconds: anyone may send one."""


@cache
def load_assets() -> dict[str, bytes]:
    """Styles, scripts and icons by name."""
    folder = files(__package__).joinpath("static")
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}


@cache
def hash_assets() -> str:
    """A word that changes with any asset: their addresses hold it, so that browsers may keep them for ever."""
    digest = hashlib.sha256()
    for name, content in sorted(load_assets().items()):
        digest.update(name.encode() + content)
    return digest.hexdigest()[:12]


@cache
def load_templates() -> Environment:
    """The templates; every value is escaped."""
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["assets"] = f"{login_links.ASSETS_PATH}{hash_assets()}"
    return environment


def render(template: str, status: int = 200, **values: Any) -> Response:
    """A page."""
    return HTMLResponse(load_templates().get_template(template).render(values), status, HEADERS)


def answer_asset(http: Request) -> Response:
    """A style, a script or an icon; all may read them."""
    name = http.path_params["name"]
    content = load_assets().get(name)
    if content is None:
        raise RefusedError("No such file.", 404)
    current = http.path_params["version"] == hash_assets()
    kept = {"Cache-Control": "public, max-age=31536000, immutable"} if current else {}
    return Response(content, media_type=mimetypes.guess_type(name)[0], headers=HEADERS | kept)


def answer_stranger(http: Request) -> ASGIApp | None:
    """What a browser without a login is shown; None for everything that is no browser."""
    if http.method not in ("GET", "HEAD"):
        return None
    if "text/html" in http.headers.get("accept", ""):
        path = http.scope["path"] + (f"?{http.url.query}" if http.url.query else "")
        # A strict cookie is not sent with a link from another site; the page asks once more, as its own.
        again = http.headers.get("sec-fetch-site") == "cross-site"
        return render("door.html", 401, target=path, again=again, wrong=False)
    if "sec-fetch-mode" in http.headers:
        # Without the challenge of HTTP Basic, which would open a dialog.
        return JSONResponse({"errors": [{"message": "This browser is not logged in."}]}, 401, HEADERS)
    return None


async def answer_login(http: Request, key: str) -> Response:
    """Log a browser in: by a link's token, or by the key that was typed."""
    if http.method == "POST":
        form = await _read_form(http)
        target = form.get("next", "/")
        allowed = check_key(form.get("key", "").strip(), key)
    else:
        target = http.query_params.get("next", "/")
        allowed = login_links.check_token(key, "login", http.query_params.get("token", "")) or login_links.may_look(
            http, key
        )
    if not login_links.is_local_path(target):
        target = "/"
    if not allowed:
        return render("door.html", 401, target=target, again=False, wrong=True)
    answer = RedirectResponse(target, 303, HEADERS)
    answer.set_cookie(
        login_links.name_cookie(key),
        login_links.make_token(key, "session", login_links.SESSION_SECONDS),
        max_age=login_links.SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=http.url.scheme == "https",
    )
    return answer


async def _read_form(http: Request) -> dict[str, str]:
    body = await read_body(http, MAX_FORM, FORM_PATIENCE)
    try:
        return dict(parse_qsl(body.decode(errors="replace"), max_num_fields=5))
    except ValueError as error:
        raise RefusedError("The form has more fields than the page's.", 400) from error
