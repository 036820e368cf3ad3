"""``python -m multistage.wandb_server``: run the embedded server until it is told to end."""

import argparse
import fcntl
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn

from multistage.errors import MultistageError, ServiceError
from multistage.wandb_server.app import build_app, open_state
from multistage.wandb_server.lifecycle import Timing


class AnnouncedServer(uvicorn.Server):
    """A server that writes its address into a file once it answers, and takes the file away when it ends."""

    def __init__(self, config: uvicorn.Config, announcement: Path, url: str) -> None:
        super().__init__(config)
        self.announcement = announcement
        self.url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer, then say so."""
        await super().startup(sockets)
        if self.started:
            write_announcement(self.announcement, self.url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so, then end."""
        self.announcement.unlink(missing_ok=True)
        await super().shutdown(sockets)


def write_announcement(path: Path, url: str) -> None:
    """Write ``server.json`` atomically."""
    content = {"url": url, "pid": os.getpid(), "started_at": time.time()}
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".server-")
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
    Path(temporary).replace(path)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        ServiceError: The address cannot be used.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # With the protocol named, asyncio turns Nagle's algorithm off: without, every answer waits 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        raise ServiceError(
            f"The embedded server cannot listen on {host}:{port}: {error}.", "Choose another port, or port 0."
        ) from error
    listener.listen(2048)
    return listener


def leave(signum: int, _: FrameType | None) -> NoReturn:
    """End with exit code 0: uvicorn raises the signal that stopped it once more when all is closed."""
    logging.getLogger(__name__).info("Ended by %s", signal.Signals(signum).name)
    sys.exit(0)


def serve(folder: Path, host: str, port: int, timing: Timing) -> None:
    """Serve one data folder until a signal ends it.

    Raises:
        ServiceError: Another server has the folder, or the address cannot be used.
    """
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, leave)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ServiceError(
                f"Another embedded server already serves {folder}.", "Use that one, or another folder."
            ) from error
        listener = bind(host, port)
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            build_app(open_state(folder, timing)),
            lifespan="on",
            access_log=False,
            log_config=None,
            timeout_keep_alive=120,
            timeout_graceful_shutdown=5,
        )
        AnnouncedServer(config, folder / "server.json", url).run(sockets=[listener])


def main() -> int:
    """Parse the command line and serve."""
    timing = Timing()
    parser = argparse.ArgumentParser(prog="python -m multistage.wandb_server", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the database, the key and the files")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument(
        "--run-timeout",
        type=float,
        default=timing.run_timeout,
        help="seconds without a sign of life after which a run is crashed (default: %(default)s)",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(
            arguments.data.absolute(),
            arguments.host,
            arguments.port,
            Timing(run_timeout=arguments.run_timeout),
        )
    except MultistageError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
