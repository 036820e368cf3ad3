"""How a browser gets in: by a link with a signed token, or by the key typed once; then a cookie opens the pages.

The key itself is in neither, so that no history, screenshot or cookie jar gives it away. The cookie opens what can be
looked at, from this server's own pages alone: no write, and nothing that another site asks for.
"""

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from starlette.requests import Request

LOGIN_PATH = "/-/login"
ASSETS_PATH = "/-/assets/"
SWEEPS_PATH = "/-/sweeps/"
"""Of the pages of multi-stage sweeps, by their uids."""
LINK_SECONDS = 3600
"""How long a login link works."""
SESSION_SECONDS = 30 * 24 * 3600
"""How long a browser stays logged in."""

Purpose = Literal["login", "session"]


def make_login_link(url: str, key: str, target: str = "/") -> str:
    """A link that logs a browser in, for an hour.

    Args:
        url: The server's address.
        key: Its API key.
        target: The page to which it leads.
    """
    told = {"token": make_token(key, "login", LINK_SECONDS)} | ({} if target == "/" else {"next": target})
    return f"{url}{LOGIN_PATH}?{urlencode(told, safe='/')}"


def make_token(key: str, purpose: Purpose, seconds: int) -> str:
    """A text that only the holder of the key can make: until when it counts, and a signature."""
    claim = f"{int(time.time()) + seconds}.{secrets.token_urlsafe(8)}"
    return f"{claim}.{_sign(key, purpose, claim)}"


def check_token(key: str, purpose: Purpose, token: str) -> bool:
    """Whether :func:`make_token` made this token for this purpose, and it still counts."""
    claim, _, signature = token.rpartition(".")
    until = claim.partition(".")[0]
    if not until.isascii() or not until.isdecimal() or len(until) > 12:
        return False
    genuine = hmac.compare_digest(_sign(key, purpose, claim).encode(), signature.encode())
    return genuine and time.time() < int(until)


def name_cookie(key: str) -> str:
    """The cookie's name, different for each key: browsers share cookies between the ports of a machine."""
    return f"multistage_{hashlib.sha256(f'cookie {key}'.encode()).hexdigest()[:8]}"


def may_look(http: "Request", key: str) -> bool:
    """Whether a request without the key may be answered: a look at a page by a browser that is logged in.

    Browsers say who asks: only an address that is followed, or a page of this server, is let in.
    """
    if http.method not in ("GET", "HEAD") or http.scope["path"].startswith("/storage/"):
        return False
    asks = http.headers.get("sec-fetch-site", "none")
    if asks not in ("same-origin", "none") and http.headers.get("sec-fetch-mode") != "navigate":
        return False
    return check_token(key, "session", http.cookies.get(name_cookie(key), ""))


def is_foreign(http: "Request") -> bool:
    """Whether a page of another origin sends this request; wandb's client and scripts are never one."""
    origin = http.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != http.headers.get("host"):
        return True
    return http.headers.get("sec-fetch-site", "none") not in ("same-origin", "none")


def is_local_path(target: str) -> bool:
    """Whether a browser that is sent there stays on this server."""
    return target.startswith("/") and target[1:2] not in ("/", "\\") and target.isprintable()


def _sign(key: str, purpose: Purpose, claim: str) -> str:
    return hmac.new(key.encode(), f"{purpose} {claim}".encode(), hashlib.sha256).hexdigest()
