"""The Prefect server: one that the user has configured, or else a local service of one's own."""

import os
import re
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from multistage.domain.model import Model
from multistage.domain.workers.variables import PREFECT_AUTH, PREFECT_SERVER_AUTH, SPARED_HOSTS
from multistage.errors import ServiceError
from multistage.services.local_service import LocalService, ServiceRecord, answers
from multistage.services.prefect_secret import make_secret, read_secret
from multistage.settings import Settings

ANSWER_TIMEOUT = 10.0
"""Seconds within which a configured server must answer anything at all."""


class PrefectServer(Model):
    """A Prefect server.

    Args:
        api_url: What a client takes as ``PREFECT_API_URL``.
        ui_url: Where people look at it.
        pid: Its process; None for a configured server, which is used as it is.
        started: Whether this call started it.
        note: What the user should know about the start; empty for nothing.
        secret: What a client takes as ``PREFECT_API_AUTH_STRING``, and its pages as password; None for a configured
            server, whose users keep its secret themselves, and for one that an older release started without any.
    """

    api_url: str
    ui_url: str
    pid: int | None
    started: bool
    note: str = ""
    secret: str | None = Field(default=None, repr=False)

    def list_variables(self) -> dict[str, str]:
        """Return what Prefect's client reads from its environment to reach this server."""
        return {"PREFECT_API_URL": self.api_url, **({PREFECT_AUTH: self.secret} if self.secret else {})}


def build_prefect_service(settings: Settings) -> LocalService:
    """Describe how a Prefect server of one's own is run."""
    folder = settings.prefect_folder
    return LocalService(
        name="Prefect server",
        folder=folder,
        build_command=lambda port: [
            sys.executable,
            "-P",
            "-m",
            "prefect",
            "server",
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        build_environment=lambda port: build_environment(folder, port, make_secret(settings), os.environ),
        health_path="/api/health",
    )


def build_environment(folder: Path, port: int, secret: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Make the server's environment: whatever Prefect settings the user has, they are meant for clients."""
    kept = {name: value for name, value in environment.items() if not name.upper().startswith("PREFECT_")}
    return kept | {
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_PROMPT": "false",
        # Without it the pages of a server on any port but 4200 stay empty.
        "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api",
        PREFECT_SERVER_AUTH: secret,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port}",
        # For the links in notifications.
        "PREFECT_UI_URL": f"http://127.0.0.1:{port}",
    }


def ensure_prefect_server(settings: Settings) -> PrefectServer:
    """Return the configured Prefect server, or else the user's own, starting it where it does not run.

    Neither the environment nor Prefect is touched: call `enter_prefect_server` before importing Prefect.

    Raises:
        ServiceError: If it does not start, or a configured one does not answer.
    """
    if configured := _find_foreign(settings):
        check_reachable(configured.api_url)
        return configured
    service = build_prefect_service(settings).ensure()
    return _describe(settings, service.record, started=service.started, note=service.note)


def find_prefect_server(settings: Settings) -> PrefectServer | None:
    """Return the configured Prefect server, or else the user's own if it runs."""
    return _find_foreign(settings) or find_own_prefect_server(settings)


def find_own_prefect_server(settings: Settings) -> PrefectServer | None:
    """Return the user's own Prefect server if it runs, whatever is configured."""
    record = build_prefect_service(settings).find()
    return _describe(settings, record, started=False) if record else None


def enter_prefect_server(
    server: PrefectServer, settings: Settings, environment: MutableMapping[str, str]
) -> MutableMapping[str, str]:
    """Have Prefect's client use a server, whatever the environment named before.

    The secret of the user's own server goes to no other: a shell may hold it from ``multistage-sweep env``.

    Args:
        server: The server.
        settings: Where the user's own server is.
        environment: Changed.

    Returns:
        The same environment.
    """
    if server.pid is None and environment.get(PREFECT_AUTH, "") == read_secret(settings):
        del environment[PREFECT_AUTH]
    environment.update(server.list_variables())
    return environment


def lets_everyone_in(api_url: str) -> bool:
    """Whether a Prefect server of this machine answers without a secret."""
    return answers(f"{api_url}/admin/version")


def name_api(port: int) -> str:
    """Return the API's address of the user's own server."""
    return f"http://127.0.0.1:{port}/api"


def _describe(settings: Settings, record: ServiceRecord, *, started: bool, note: str = "") -> PrefectServer:
    api_url, secret = name_api(record.port), read_secret(settings)
    if secret is None and not lets_everyone_in(api_url):
        raise ServiceError(
            f"The Prefect server's key is missing: {settings.prefect_key}.",
            "`multistage-sweep down`, then `multistage-sweep up`, makes a new one.",
        )
    ui_url = api_url.removesuffix("/api")
    return PrefectServer(api_url=api_url, ui_url=ui_url, pid=record.pid, started=started, note=note, secret=secret)


class ClientVariables(BaseSettings):
    """Those of Prefect's own variables that say where its server is."""

    model_config = SettingsConfigDict(env_prefix="PREFECT_", extra="ignore")

    api_url: str | None = None
    ui_url: str | None = None
    home: Path = Field(default_factory=lambda: Path.home() / ".prefect")
    profiles_path: Path | None = None
    profile: str | None = None


def _find_foreign(settings: Settings) -> PrefectServer | None:
    """Return the configured server, unless it is the user's own: its address may be in the environment already."""
    url = read_configured_url(Path.cwd())
    own = build_prefect_service(settings).read_record()
    if url is None or (own and url in [f"http://{host}:{own.port}/api" for host in SPARED_HOSTS]):
        return None
    ui_url = ClientVariables(_env_file=".env").ui_url or derive_ui_url(url)
    return PrefectServer(api_url=url, ui_url=ui_url, pid=None, started=False)


def read_configured_url(directory: Path) -> str | None:
    """Read the API's URL as a Prefect client started in a directory would, without the second that its import takes.

    In the order of https://docs.prefect.io/v3/concepts/settings-and-profiles: environment, ``.env``,
    ``prefect.toml``, ``pyproject.toml``, active profile.

    Raises:
        ServiceError: If one of these files is not valid TOML.
    """
    variables = ClientVariables(_env_file=directory / ".env")
    profiles = _read_toml(variables.profiles_path or variables.home / "profiles.toml")
    active = variables.profile or profiles.get("active", "")
    candidates = (
        variables.api_url,
        _read_toml(directory / "prefect.toml").get("api", {}).get("url"),
        _read_toml(directory / "pyproject.toml").get("tool", {}).get("prefect", {}).get("api", {}).get("url"),
        profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL"),
    )
    return next((str(url).rstrip("/") for url in candidates if url), None)


def _read_toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ServiceError(
            f"{path} is not valid TOML: {error}.", "Fix it: Prefect reads its settings there."
        ) from error


def derive_ui_url(api_url: str) -> str:
    """Return the address of the pages that belong to an API, on Prefect Cloud too."""
    cloud = re.fullmatch(r"https://api\.prefect\.cloud/api/accounts/([^/]+)/workspaces/([^/]+)", api_url)
    if cloud:
        return f"https://app.prefect.cloud/account/{cloud[1]}/workspace/{cloud[2]}"
    return api_url.removesuffix("/api")


def check_reachable(api_url: str) -> None:
    """Check that something answers at a configured address; what it answers is between it and Prefect's client.

    Raises:
        ServiceError: If nothing does.
    """
    if not api_url.startswith(("http://", "https://")):
        raise ServiceError(f"The configured PREFECT_API_URL {api_url!r} is not an http address.", _hint_foreign())
    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=ANSWER_TIMEOUT):  # noqa: S310
            pass
    except urllib.error.HTTPError:
        return
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise ServiceError(
            f"The configured Prefect server {api_url} does not answer: {reason}.", _hint_foreign()
        ) from error


def _hint_foreign() -> str:
    return (
        "Start that server, or take PREFECT_API_URL out of the environment and the active Prefect profile: "
        "a local one is then started."
    )
