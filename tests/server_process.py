"""The embedded W&B server as a process, for tests."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self


def make_environment(folder: Path, url: str, key: str) -> dict[str, str]:
    """The environment of a W&B client: nothing of this user's, everything under ``folder``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "CONTRACT_"))}
    places = {name: str(folder / "client") for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")}
    (folder / "client").mkdir(exist_ok=True)
    return {
        **inherited,
        **places,
        "WANDB_DATA_DIR": str(folder / "client"),
        "WANDB_BASE_URL": url,
        "WANDB_API_KEY": key,
        # Whole seconds: wandb-core takes less for "use the default", 15 s.
        "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / "client"),
    }


class ServerProcess:
    """A server on a free port with a data folder of its own, ended with the block.

    Args:
        folder: Where its data, its log and its clients' files lie.
        options: Further arguments of ``python -m multistage.wandb_server``.
        files: How many it may open, as ``ulimit -n`` says it; None leaves that as it is.
    """

    def __init__(self, folder: Path, *options: str, files: int | None = None) -> None:
        self.folder = folder / "data"
        self.home = folder
        self.options = options
        self.files = files
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return (self.folder / "key").read_text().strip()

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def environment(self) -> dict[str, str]:
        return make_environment(self.home, self.url, self.key)

    def start(self) -> None:
        """Start, on the same port as before, and wait until it answers."""
        command = [sys.executable, "-m", "multistage.wandb_server", "--data", str(self.folder)]
        if self.files is not None:
            command = ["/bin/sh", "-c", f'ulimit -n {self.files} && exec "$@"', "sh", *command]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, "--port", str(self.port), *self.options], stdout=log, stderr=log)
        announcement = self.folder / "server.json"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(self.log.read_text())
            if announcement.exists():
                found = json.loads(announcement.read_text())
                if found["pid"] == self.process.pid:
                    self.port = int(found["url"].rpartition(":")[2])
                    with urllib.request.urlopen(f"{self.url}/healthz", timeout=10) as answer:  # noqa: S310
                        assert json.load(answer) == {"status": "ok"}
                    return
            time.sleep(0.02)
        raise RuntimeError(f"The server does not answer: {self.log.read_text()}")

    def kill(self) -> None:
        """End it without warning, as kill -9 does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """End it as a user would; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill() if kind else self.stop()
