"""One server process: it listens, holds its data folder, says where it is, and ends cleanly."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

import uvicorn

from multistage.atomic_files import replace_file
from multistage.errors import ServiceError
from multistage.file_locks import GLANCE, explain_failure, try_lock
from multistage.machines import describe_machine
from multistage.process_starts import read_start
from multistage.wandb_server.addresses import EVERYWHERE, bind_all, name_url
from multistage.wandb_server.connections import PatientProtocol, Reception, bound_connections
from multistage.wandb_server.lifecycle import Timing
from multistage.wandb_server.log import quieten
from multistage.wandb_server.release import describe_release
from multistage.wandb_server.web_app import build_app, open_state


class AnnouncedServer(uvicorn.Server):
    """A server that writes its address into a file once it answers, and takes the file away when it ends.

    Args:
        config: What it serves.
        announcement: The file.
        url: Its address.
        hosts: All that it listens on.
        on_ready: Called with the address once it answers.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        announcement: Path,
        url: str,
        hosts: Sequence[str],
        on_ready: Callable[[str], None],
    ) -> None:
        super().__init__(config)
        self.hosts = tuple(hosts)
        self.announcement = announcement
        self.url = url
        self.on_ready = on_ready
        self.receptions: list[asyncio.Task[None]] = []
        self.failure: OSError | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer, then say so."""
        await super().startup([])
        if self.started:
            reception = Reception(self._make_protocol, self.server_state.connections, bound_connections())
            self.receptions = [asyncio.create_task(reception.accept(listener)) for listener in sockets or []]
            try:
                write_announcement(self.announcement, self.url, self.hosts)
            except OSError as error:
                # Raised where it can end the process: `run` would write a traceback.
                self.failure = error
                self.should_exit = True
                await self.shutdown(sockets)
                self.started = False
                return
            self.on_ready(self.url)

    def _make_protocol(self) -> PatientProtocol:
        return PatientProtocol(self.config, self.server_state, self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so, then end."""
        with contextlib.suppress(OSError):
            self.announcement.unlink(missing_ok=True)
        for reception in self.receptions:
            reception.cancel()
        await super().shutdown(sockets)


def write_announcement(path: Path, url: str, hosts: Sequence[str]) -> None:
    """Write ``server.json`` atomically."""
    content = {
        "url": url,
        "hosts": list(hosts),
        "pid": os.getpid(),
        "started_at": time.time(),
        "process_started_at": read_start(os.getpid()),
        "machine": describe_machine(),
        "release": describe_release(),
    }
    replace_file(path, json.dumps(content))


def leave(signum: int, _: FrameType | None) -> NoReturn:
    """End with exit code 0: uvicorn raises the signal that stopped it once more when all is closed."""
    logging.getLogger(__name__).info("Ended by %s", signal.Signals(signum).name)
    sys.exit(0)


def serve(
    folder: Path,
    hosts: Sequence[str],
    port: int,
    timing: Timing,
    on_ready: Callable[[str, str], None] = lambda _url, _key: None,
) -> None:
    """Serve one data folder until a signal ends it, which ends this process with exit code 0.

    Args:
        folder: Database, key and files.
        hosts: The addresses to listen on; the first is its own.
        port: The port; 0 takes a free one.
        timing: When silence means that a run has ended.
        on_ready: Called with the server's address and its key once it answers.

    Raises:
        ServiceError: Another server has the folder, the folder or the address cannot be used.
    """
    # Whatever is made here holds keys, configs or logs.
    os.umask(0o077)
    quieten()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, leave)
    with _open_lock(folder) as lock:
        _take_lock(lock, folder)
        listeners = bind_all(hosts, port)
        url = name_url(EVERYWHERE.get(hosts[0], hosts[0]), listeners[0].getsockname()[1])
        try:
            state = open_state(folder, timing)
        except OSError as error:
            raise _refuse(folder, error) from error
        config = uvicorn.Config(
            build_app(state),
            lifespan="on",
            http=PatientProtocol,
            ws="none",
            access_log=False,
            log_config=None,
            timeout_keep_alive=120,
            timeout_graceful_shutdown=5,
        )
        server = AnnouncedServer(config, folder / "server.json", url, hosts, lambda url: on_ready(url, state.key))
        server.run(sockets=listeners)
        if server.failure is not None:
            raise _refuse(folder, server.failure)


def _open_lock(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in folder.glob("wandb.sqlite*"):
            path.chmod(0o600)
        return (folder / "lock").open("w")
    except OSError as error:
        raise _refuse(folder, error) from error


def _take_lock(lock: TextIO, folder: Path) -> None:
    try:
        taken = try_lock(lock, GLANCE)
    except OSError as error:
        raise ServiceError(
            explain_failure(folder / "lock", error),
            "Choose a folder on another disk: by MULTISTAGE_HOME, or by --data where you start it by hand.",
        ) from error
    if not taken:
        raise ServiceError(f"Another embedded server already serves {folder}.", "Use that one, or another folder.")


def _refuse(folder: Path, error: OSError) -> ServiceError:
    return ServiceError(
        f"The data folder {folder} cannot be used: {error}.", "Free some space or fix it, or choose another one."
    )
