"""The page of a multi-stage sweep, which the user's embedded W&B server shows, whichever server tracks the sweep."""

import json
import urllib.error
import urllib.request
from base64 import b64encode
from http.client import HTTPException

from pydantic import Field, ValidationError

from multistage.domain.live.summary import LiveSummary
from multistage.domain.model import Model
from multistage.errors import ServiceError
from multistage.services.embedded import WandbServer, ensure_wandb_server, find_wandb_server
from multistage.settings import Settings
from multistage.wandb_server.credentials import DRIVER_KEY
from multistage.wandb_server.pages.login_links import SWEEPS_PATH, make_login_link

PATIENCE = 10.0
"""Seconds for an answer."""

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class SweepPage(Model):
    """A sweep's page, for whoever drives the sweep."""

    address: str
    """For people; without a login."""
    driver_key: str = Field(repr=False)
    """What alone may write there. It stays with the driver: workers and trainings are not given it."""

    def send(self, body: bytes) -> None:
        """Send a summary to the page, as JSON.

        Raises:
            ServiceError: The server cannot be reached, or does not take it.
        """
        self._ask("PUT", self.address, body)

    def read(self) -> LiveSummary | None:
        """Read what the page was told last; None where it was told nothing.

        Raises:
            ServiceError: The server cannot be reached, or tells what this release does not know.
        """
        found = self._ask("GET", f"{self.address}/changes")
        if found is None:
            return None
        try:
            told = json.loads(found)
            return LiveSummary.model_validate({**told["summary"], "runs": told["runs"]})
        except (ValidationError, ValueError, LookupError, TypeError) as error:
            raise ServiceError(f"The page {self.address} was written by another release.", "") from error

    def _ask(self, method: str, address: str, body: bytes | None = None) -> bytes | None:
        token = b64encode(f"api:{self.driver_key}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(address, body, headers, method=method)  # noqa: S310 - this machine's server
        try:
            with _opener.open(request, timeout=PATIENCE) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            if method == "GET" and error.code == 404:
                return None
            said = error.read(500).decode(errors="replace")
            raise ServiceError(f"The W&B server at {address} answers {error.code}: {said}", "") from error
        except (OSError, HTTPException) as error:
            raise ServiceError(f"The W&B server at {address} does not answer: {error}.", "") from error


def open_sweep_page(settings: Settings, uid: str) -> SweepPage:
    """Open a sweep's page for its driver; the embedded server is started where it does not run.

    Args:
        settings: Where the services' folders are.
        uid: The sweep.

    Raises:
        ServiceError: The server does not start, or runs older code that shows no such pages.
    """
    return _open(settings, ensure_wandb_server(settings), uid)


def find_sweep_page(settings: Settings, uid: str) -> SweepPage | None:
    """Open a sweep's page for its driver; None where no server runs.

    Raises:
        ServiceError: It runs older code that shows no such pages.
    """
    server = find_wandb_server(settings)
    return _open(settings, server, uid) if server else None


def _open(settings: Settings, server: WandbServer, uid: str) -> SweepPage:
    try:
        key = (settings.wandb_server_folder / DRIVER_KEY).read_text().strip()
    except OSError as error:
        raise ServiceError(
            f"The W&B server at {server.url} runs older code, which shows no page of a whole sweep.",
            "It is restarted by the next sweep, once no sweep is live.",
        ) from error
    return SweepPage(address=f"{server.url}{SWEEPS_PATH}{uid}", driver_key=key)


def make_page_link(settings: Settings, uid: str) -> str:
    """Make a link to a sweep's page that logs a browser in, for an hour; empty where no server runs.

    Args:
        settings: Where the services' folders are.
        uid: The sweep.

    Raises:
        ServiceError: The server's key cannot be read.
    """
    server = find_wandb_server(settings)
    return make_login_link(server.url, server.key, f"{SWEEPS_PATH}{uid}") if server else ""
