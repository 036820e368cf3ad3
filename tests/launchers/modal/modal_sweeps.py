"""Sweeps on the stand-in for Modal, with the embedded W&B server, for tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from multistage.domain.sweep.state import State
from multistage.services import stop_services
from multistage.settings import Settings
from multistage.store.sweep_folder import SweepFolder
from tests.server_process import ServerProcess
from tests.stand_ins.modal_server import ModalServer

COMMAND = [str(Path(sys.executable).parent / "multistage-sweep")]


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class ModalSweeps:
    """The command line in a folder of its own, against a stand-in and an embedded server.

    Args:
        folder: Where it is called, and where the local services keep their things.
        modal: The stand-in.
        tracker: The W&B server.
    """

    def __init__(self, folder: Path, modal: ModalServer, tracker: ServerProcess) -> None:
        self.folder = folder
        self.modal = modal
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("WANDB_", "PREFECT_", "MODAL_"))
            },
            **modal.environment,
            "HOME": str(folder),
            "MULTISTAGE_HOME": str(folder / "home"),
            "WANDB_BASE_URL": tracker.url,
            "WANDB_API_KEY": tracker.key,
            "COLUMNS": "200",
        }

    def call(self, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            # What runs the tests in the background ignores Ctrl+C, and so would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
        )

    def read(self, name: str) -> State:
        return SweepFolder(self.folder / "runs" / name).load_state()

    def find(self, name: str) -> State | None:
        return SweepFolder(self.folder / "runs" / name).read_state()

    def kill(self, process: "subprocess.Popen[str]") -> None:
        """End the orchestrator with everything in its process group, as ``kill -9`` does."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def close(self) -> None:
        stop_services(Settings(home=self.folder / "home"))
