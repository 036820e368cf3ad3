"""The embedded W&B server as a local service."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from pydantic import Field

from multistage.domain.model import Model
from multistage.domain.workers.variables import withhold_secrets
from multistage.errors import ServiceError
from multistage.file_locks import is_held
from multistage.machines import is_here
from multistage.pids import CLOCK_TOLERANCE, find_living
from multistage.services.hosts import add_host, read_hosts
from multistage.services.local_service import LocalService, answers, refuse_other_machine
from multistage.settings import Settings
from multistage.wandb_server.addresses import EVERYWHERE, name_url
from multistage.wandb_server.pages.login_links import make_login_link
from multistage.wandb_server.release import describe_release


class WandbServer(Model):
    """An embedded W&B server that answers.

    Args:
        url: What a client takes as ``WANDB_BASE_URL``.
        key: What it takes as ``WANDB_API_KEY``.
        pid: Its process.
        started: Whether this call started it.
        hosts: The addresses that it listens on.
        note: What the user should know about the start; empty for nothing.
    """

    url: str
    key: str = Field(repr=False)
    pid: int
    started: bool
    hosts: tuple[str, ...] = ()
    note: str = ""

    def listens_on(self, host: str | None) -> bool:
        """Whether it listens on an address of this machine; None stands for any."""
        return host is None or host in self.hosts or bool(EVERYWHERE.keys() & set(self.hosts))

    def name_url(self, host: str) -> str:
        """Its URL for clients that reach it on an address of this machine."""
        port = urlsplit(self.url).port
        assert port is not None  # noqa: S101 - it is always written out
        return name_url(host, port)

    def make_login_link(self) -> str:
        """A link that opens the pages to a browser, for an hour; the key is not in it."""
        return make_login_link(self.url, self.key)


def build_wandb_service(settings: Settings) -> LocalService:
    """Describe how the embedded server is run."""
    folder = settings.wandb_server_folder
    return LocalService(
        name="W&B server",
        folder=folder,
        build_command=lambda port: _build_command(folder, port),
        build_environment=lambda _: _build_environment(),
        health_path="/healthz",
    )


def _build_command(folder: Path, port: int) -> list[str]:
    # -P keeps the working directory, which is the data folder, out of the module path.
    command = [sys.executable, "-P", "-m", "multistage.wandb_server", "--data", str(folder), "--port", str(port)]
    for host in ("127.0.0.1", *read_hosts(folder)):
        command += ["--host", host]
    return command


def _build_environment() -> dict[str, str]:
    environment = dict(os.environ)
    withhold_secrets(environment)
    return environment


def ensure_wandb_server(settings: Settings, host: str | None = None) -> WandbServer:
    """Return the user's embedded server, starting it where it does not run.

    Args:
        settings: Where its folder is.
        host: An address of this machine on which it has to listen beside 127.0.0.1; where it does not yet, it is
            started anew, on its port.

    Raises:
        ServiceError: If it does not start, or was started by hand on other addresses.
    """
    running = find_wandb_server(settings)
    if running is not None and running.listens_on(host):
        return running
    own = build_wandb_service(settings)
    record = own.find() if running else None
    if running is not None and record is None:
        raise ServiceError(
            f"The W&B server at {running.url} was started by hand, and does not listen on {host}.",
            f"End it, or start it with --host {host}.",
        )
    if host is not None:
        add_host(own.folder, host)
    service = own.replace(record) if record else own.ensure()
    return WandbServer(
        hosts=("127.0.0.1", *read_hosts(own.folder)),
        url=f"http://127.0.0.1:{service.record.port}",
        key=_read_key(settings),
        pid=service.record.pid,
        started=service.started,
        note=service.note,
    )


def renew_wandb_server(settings: Settings, is_idle: Callable[[], bool]) -> str:
    """End the user's embedded server where it runs other code than this: the next use restarts it.

    The data stays, and so do address and key, but the server is away for a moment: not while a sweep is live.

    Args:
        settings: Where the services' folders are.
        is_idle: Whether no sweep is live; asked only where there is something to do, since it may ask other machines.

    Returns:
        What the user should know; empty where nothing was to be done.
    """
    announcement = _read_announcement(settings)
    if announcement is None or announcement.release == describe_release() or not is_idle():
        return ""
    if build_wandb_service(settings).stop():
        return "The embedded W&B server ran another release's code, and was stopped; it is being restarted."
    return f"The W&B server at {announcement.url} runs another release's code and was started by hand: restart it."


def find_wandb_server(settings: Settings) -> WandbServer | None:
    """Return the server of the user's data folder if it runs, also where somebody started it by hand.

    Raises:
        ServiceError: It runs on another machine.
    """
    announcement = _read_announcement(settings)
    if announcement is None:
        return None
    return WandbServer(
        url=announcement.url,
        key=_read_key(settings),
        pid=announcement.pid,
        started=False,
        hosts=announcement.hosts or ("127.0.0.1",),
    )


class Announcement(Model):
    """What a server writes into its folder's ``server.json`` while it answers.

    Args:
        url: Its address.
        pid: Its process.
        started_at: When it wrote this, in Unix seconds.
        process_started_at: When its process started, by a clock that nobody sets; None where it was written before
            this was noted.
        release: Which code it runs; empty where it was written before this was noted.
        hosts: The addresses that it listens on; empty where it was written before this was noted.
        machine: Where it runs, as `describe_machine` told it; empty where it was written before this was noted.
    """

    url: str
    pid: int
    started_at: float
    process_started_at: float | None = None
    release: str = ""
    hosts: tuple[str, ...] = ()
    machine: str = ""

    def is_current(self) -> bool:
        """Whether the process that wrote this lives: a later one with its pid started after the writing."""
        if self.process_started_at is not None:
            return find_living(self.pid, self.process_started_at) is not None
        try:
            return psutil.Process(self.pid).create_time() <= self.started_at + CLOCK_TOLERANCE
        except psutil.NoSuchProcess:
            return False


def _read_announcement(settings: Settings) -> Announcement | None:
    folder = settings.wandb_server_folder
    try:
        announcement = Announcement.model_validate_json((folder / "server.json").read_bytes())
        if not is_here(announcement.machine):
            if is_held(folder / "lock"):
                raise refuse_other_machine("W&B server", folder, announcement.machine)
            return None
    except OSError:
        return None
    return announcement if announcement.is_current() and answers(f"{announcement.url}/healthz") else None


def _read_key(settings: Settings) -> str:
    path = settings.wandb_server_folder / "key"
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ServiceError(
            f"The W&B server's key cannot be read: {error}.",
            "`multistage-sweep down`, then `multistage-sweep up`, makes a new one.",
        ) from error
