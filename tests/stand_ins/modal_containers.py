"""Containers of the stand-in for Modal: the client's own container entrypoint, each in a process of its own."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from grpclib.server import Server
from modal_proto import api_pb2

from tests.stand_ins.modal_objects import Call, Function

ABSENT = """
import importlib.abc, sys

class _Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return None

sys.meta_path.insert(0, _Absent())
"""
"""Makes packages that the image does not hold missing in the container and in all that it starts."""


class Container:
    """One container: a folder for its mounted sources, a socket of its own, and a process.

    Args:
        task_id: Its id.
        function: What it serves.
        folder: Where everything of it lies.
        environment: What its secrets and the cloud set.
        mounts: Content by path, of everything under ``/root``.
        absent: Top-level packages that its image does not hold.
        make_handlers: Makes the servicer of its socket.
    """

    def __init__(
        self,
        task_id: str,
        function: Function,
        folder: Path,
        *,
        environment: Mapping[str, str],
        mounts: Mapping[str, Path],
        absent: Sequence[str],
        make_handlers: "Callable[[Container], Any]",
    ) -> None:
        self.task_id = task_id
        self.function = function
        self.folder = folder
        self.call: Call | None = None
        self.cancels: asyncio.Queue[str] = asyncio.Queue()
        self.start_failure: api_pb2.GenericResult | None = None
        self.preempted = False
        self.took_call = False
        self._environment = dict(environment)
        self._mounts = mounts
        self._absent = set(absent)
        self._server = Server([make_handlers(self)])
        self.process: asyncio.subprocess.Process | None = None
        self.started_at = self.ended_at = 0.0
        """Seconds since the epoch; 0 before."""

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / "log"

    async def run(self, layout: api_pb2.AppLayout) -> int:
        """Start it, and wait until it and all that it started have ended."""
        root = self.folder / "root"
        root.mkdir(parents=True)
        for path, content in self._mounts.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(content)
        (root / "sitecustomize.py").write_text(ABSENT.format(absent=self._absent))
        arguments = api_pb2.ContainerArguments(
            task_id=self.task_id,
            function_id=self.function.function_id,
            app_id=self.function.app.app_id,
            function_def=self.function.definition,
            app_layout=layout,
            environment_name="main",
        )
        (self.folder / "arguments").write_bytes(arguments.SerializeToString())
        socket = self.folder / "s"
        self.started_at = time.time()
        await self._server.start(path=str(socket))
        try:
            with self.log.open("ab") as log:
                self.process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "modal._container_entrypoint",
                    env=self._build_environment(root, socket), cwd=root, stdin=asyncio.subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            code = await self.process.wait()
        finally:
            self.kill()
            self.ended_at = time.time()
            self._server.close()
            await self._server.wait_closed()
        return code

    def _build_environment(self, root: Path, socket: Path) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "PYTHONPATH": str(root),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
            **self._environment,
            "MODAL_CONTAINER_ARGUMENTS_PATH": str(self.folder / "arguments"),
            "MODAL_SERVER_URL": f"unix://{socket}",
            "MODAL_IS_REMOTE": "1",
            "MODAL_TASK_ID": self.task_id,
            "MODAL_CONFIG_PATH": str(self.folder / "modal.toml"),
        }

    def list_processes(self) -> list[psutil.Process]:
        """Every living process in it; the kernel would know by its namespace, here the environment tells."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("MODAL_TASK_ID") == self.task_id:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
                continue
        return found

    def kill(self) -> None:
        """End everything in it at once, as the cloud ends a container: frozen first, so that none sees another end."""
        processes = self.list_processes()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in processes:
                try:
                    process.send_signal(number)
                except psutil.NoSuchProcess:
                    continue

    def interrupt(self) -> None:
        """Warn its main process, as the cloud does before it takes the machine away."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
