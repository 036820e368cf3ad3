"""A way to a server to which only ssh leads: a port of this machine's 127.0.0.1 that ends on a port of the other's.

``python -m multistage.worker.tunnel ssh:HOST COMMAND...`` runs a command with such a way to the server of
``WANDB_BASE_URL``, and ends as it does.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self
from urllib.parse import urlsplit

from multistage.errors import MultistageError, TrackerError, UsageError
from multistage.leaving import leave

PREFIX = "ssh:"
OPENING = 30.0
"""Seconds to log in, and to reach the port."""
PAUSE = 2.0
"""Seconds between two attempts to open it again."""
QUIETLY = ("-T", "-a", "-x", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ExitOnForwardFailure=yes",
           "-o", "ControlMaster=no", "-o", "ControlPath=none",
           "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4")  # fmt: skip
SHIELDED = ("sh", "-c", 'trap "" TERM; exec ssh "$@"', "ssh")
"""Slurm ends a job by SIGTERM to all its processes, and the worker has its last run to report then."""


class Tunnel:
    """Leads to a server by way of a host, as long as it is open: it is opened again whenever it breaks.

    Args:
        way: ``ssh:HOST``, the host as ssh takes it.
        base_url: The server, as that host reaches it.

    Raises:
        UsageError: They name no way, or no server.
    """

    def __init__(self, way: str, base_url: str) -> None:
        self._host = way.removeprefix(PREFIX)
        place = urlsplit(base_url)
        if not way.startswith(PREFIX) or not self._host or self._host.startswith("-"):
            raise UsageError(f"{way!r} is no tunnel.", "Name the host that leads to the server: --tunnel ssh:HOST.")
        if place.scheme != "http" or place.hostname is None:
            raise UsageError(
                f"A tunnel leads to an http:// address, not to {base_url or 'W&B'}.", "Leave --tunnel out."
            )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._forward = f"127.0.0.1:{self._port}:{place.hostname}:{place.port or 80}"
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    @property
    def url(self) -> str:
        """The server, as this machine reaches it."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        with tempfile.TemporaryFile() as said:
            self._process = process = self._open(said.fileno())
            deadline = time.monotonic() + OPENING
            while not self._is_open():
                if process.poll() is not None or time.monotonic() > deadline:
                    self._end()
                    said.seek(0)
                    lines = said.read().decode(errors="replace").strip().splitlines() or ["it took too long"]
                    raise TrackerError(
                        f"No tunnel opens by way of {self._host}: {lines[-1].rstrip('.')}.",
                        f"`ssh -o BatchMode=yes {self._host} true` must do without a question.",
                    )
                time.sleep(0.05)
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._end()
        self._keeper.join()
        self._end()  # one that was opened meanwhile

    def _open(self, errors: int) -> "subprocess.Popen[bytes]":
        """Start ssh; it ends with this process, however that ends, since `cat` then reads no more."""
        variables = {name: value for name, value in os.environ.items() if name != "WANDB_API_KEY"}
        return subprocess.Popen(
            [*SHIELDED, *QUIETLY, "-L", self._forward, "--", self._host, "cat"],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            process_group=0,  # Ctrl+C is the worker's, which has something to report yet
        )

    def _keep(self) -> None:
        while not self._closed.is_set():
            if self._process is not None and self._process.poll() is not None:
                self._end()
                self._process = self._open(subprocess.DEVNULL)
            self._closed.wait(PAUSE)

    def _is_open(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), 1.0):
                return True
        except OSError:
            return False

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class Traveller:
    """Runs a command at the end of a tunnel.

    Args:
        command: What to run.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_by: int | None = None

    def run(self, url: str) -> int:
        """Run it; returns its exit code, or less than 0 where a signal ended it.

        Args:
            url: The server, as it reaches it.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        self._process = subprocess.Popen(self._command, env={**os.environ, "WANDB_BASE_URL": url})
        if self._ended_by is not None:
            self._process.send_signal(self._ended_by)
        return self._process.wait()

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self._ended_by = number
        if self._process is not None:
            self._process.send_signal(number)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command at the end of a tunnel, and end this process as it did.

    Raises:
        SystemExit: With the exit code.
    """
    way, *command = sys.argv[1:] if arguments is None else arguments
    try:
        with Tunnel(way, os.environ.get("WANDB_BASE_URL", "")) as tunnel:
            code = Traveller(command).run(tunnel.url)
    except MultistageError as error:
        sys.stderr.write(f"{error}\n")
        code = error.exit_code
    leave(code)


if __name__ == "__main__":
    main()
