"""One run of a script on the embedded server, by a worker as a sweep has them, watched until enough is known of it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Self

import psutil
from pydantic import Field

from multistage.domain.proposal.draft import Sighting
from multistage.domain.proposal.logged_metric import join_summary
from multistage.domain.runs.results import Config
from multistage.domain.runs.slots import FAULT_KEY, RunPhase, classify_run
from multistage.domain.sweep.sweep_config import OWN_SCHEDULER
from multistage.errors import TrackerError
from multistage.introduction.usage import count_gpus, list_trainings, measure_memory
from multistage.launchers.log_folder import LogFolder
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.seen_runs import SeenRun, read_run
from multistage.wandb_client.sweep_calls import create_sweep, enqueue_run, finish_sweep, open_sweep
from multistage.worker.conventions import CAN_FORK
from multistage.worker.interpreter import INTERPRETER_VARIABLE, Interpreter
from multistage.worker.outputs import read_last_lines, read_reason
from multistage.worker.trainings import follow_parent

LOOK_INTERVAL = 0.4
"""Seconds between two looks at the run."""
END_PATIENCE = 15.0
"""Seconds that a worker has to end its training and leave."""
ENDED: tuple[RunPhase, ...] = ("finished", "stopped", "failed", "lost")
LAST_LINES = 5
"""Of what a script that failed printed."""


class ProbeResult(Sighting):
    """What was seen of the run."""

    config: dict[str, object] = Field(default_factory=dict)
    logged: int = 0
    """How many rows it has logged."""
    reached: bool = True
    """Whether it reached ``wandb.init``."""
    ended: bool = False
    """Whether it ended by itself."""
    failed: bool = False
    setup_fault: str = ""
    """Why no run of the script can work, as its worker found; empty where it did not."""
    said: tuple[str, ...] = ()
    """The last lines that the script printed."""
    reason: str = ""
    """The one of its lines that says why it failed."""


class Probe:
    """A run that is being watched; it ends with the block.

    Args:
        connection: Of the embedded server.
        command: The script's, with W&B's macros.
        program: What `${program}` stands for.
        directory: Where it is started.
        folder: For logs and W&B's files.
        interpreter: Another interpreter than this one.
        values: What the run is given by its config.
    """

    def __init__(
        self,
        connection: Connection,
        command: Sequence[str],
        program: str,
        directory: Path,
        folder: Path,
        interpreter: Interpreter | None = None,
        values: Config | None = None,
    ) -> None:
        self._connection = connection
        self._logs = LogFolder(folder)
        self._worker_log = folder / "worker.log"
        name = f"init of {Path(program).name}"
        config = {
            "name": name,
            "program": program,
            "command": list(command),
            "method": "custom",
            "scheduler": {"name": OWN_SCHEDULER, "engine": "custom", "runs": 1},
            "parameters": {key: {"value": value} for key, value in (values or {}).items()},
        }
        self._sweep_id = create_sweep(connection, config)
        try:
            run_id = enqueue_run(connection, open_sweep(connection, self._sweep_id), name, values or {}, {})
            if run_id is None:
                raise TrackerError(f"{connection.base_url} does not return the id of a queued run.")
            self._run_id = run_id
            self._worker = self._start_worker(directory, interpreter)
        except BaseException:
            finish_sweep(connection, self._sweep_id)
            raise
        self._began = time.monotonic()
        self._is_training = False
        self._startup: float | None = None
        """Seconds that it took to reach ``wandb.init``; None before."""
        self._peak = 0
        self._gpus: int | None = None
        self._seen: SeenRun | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def watch(self, limit: float, enough: Callable[[ProbeResult], bool]) -> ProbeResult:
        """Watch the run until it ends, or enough was seen, or its time is over.

        Args:
            limit: Seconds from when it reaches ``wandb.init``, for which it has as many; infinite for a run that may
                take as long as it likes.
            enough: Tells whether enough was seen.
        """
        while True:
            left = self._worker.poll() is not None
            result = self._look(left=left)
            watched = time.monotonic() - (self._began if self._startup is None else self._began + self._startup)
            if left or result.ended or enough(result) or watched > limit:
                return result
            with suppress(subprocess.TimeoutExpired):
                self._worker.wait(LOOK_INTERVAL)

    def end(self) -> None:
        """End the run, with all that its script has started, and its sweep. Does no harm when repeated."""
        if self._worker.poll() is None:
            self._worker.send_signal(SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._worker.wait(END_PATIENCE)
        left = list_trainings(self._worker.pid) if self._worker.poll() is None else []
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._worker.pid, SIGKILL)
        self._worker.wait()
        finish_sweep(self._connection, self._sweep_id)

    def _look(self, *, left: bool) -> ProbeResult:
        """Look at the run once.

        Args:
            left: Whether the worker has left, so that nothing more comes.
        """
        trainings = list_trainings(self._worker.pid)
        if trainings and not self._is_training:
            self._began, self._is_training = time.monotonic(), True
        self._peak = max(self._peak, measure_memory(trainings))
        used = count_gpus(trainings)
        self._gpus = max(self._gpus or 0, used) if used is not None else self._gpus
        seen = self._seen = read_run(self._connection, self._run_id, self._seen)
        if self._startup is None and seen.state != "pending":
            self._startup = time.monotonic() - self._began
        fault = str(seen.summary.get(FAULT_KEY) or "")
        ended = left or (not trainings and classify_run(seen.state) in ENDED)
        failed = ended and seen.state != "finished"
        return ProbeResult(
            config=seen.config,
            rows=join_summary(seen.rows, seen.summary),
            logged=seen.logged,
            seconds=time.monotonic() - self._began,
            startup=self._startup or 0.0,
            reached=self._startup is not None,
            whole=ended and not failed,
            ended=ended,
            failed=failed,
            peak=self._peak or None,
            gpus=self._gpus,
            setup_fault=str(seen.summary.get("error") or fault) if fault else "",
            said=tuple(self._read_said()) if failed else (),
            reason=read_reason(self._logs.locate_run(self._run_id)) if failed else "",
        )

    def _read_said(self) -> list[str]:
        """Read what the script said last; its worker, where it said nothing."""
        return self._logs.read_run(self._run_id, LAST_LINES) or read_last_lines(self._worker_log, LAST_LINES)

    def _start_worker(self, directory: Path, interpreter: Interpreter | None) -> "subprocess.Popen[bytes]":
        """Start a worker for this run alone, which ends when this process does, as far as the kernel sees to it."""
        self._logs.make()
        own_variables = {} if interpreter is None else {INTERPRETER_VARIABLE: interpreter.model_dump_json()}
        own = os.getpid()
        sweep = f"{self._connection.path}/{self._sweep_id}"
        with self._worker_log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "multistage.worker", "--sweep", sweep, "--max-runs", "1"],
                env=self._logs.build_environment(own_variables),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=(lambda: follow_parent(own)) if CAN_FORK else None,
            )
