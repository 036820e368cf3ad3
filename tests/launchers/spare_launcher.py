"""A launcher of somebody else's, whole in one file: each worker is a process that nobody else of this project knows.

Installed as a distribution whose entry point of the group ``multistage.launchers`` names `SpareKind`.
"""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import Field

from multistage.domain.sweep.plan import RunRequest
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.workers.worker_records import WorkerEnd, WorkerRecord
from multistage.errors import LaunchError
from multistage.launchers.base import Assignment, LauncherKind, Traits, fill_options
from multistage.options.option import Option, Options
from multistage.pids import find_living
from multistage.worker.conventions import RUN_LOGS_VARIABLE, WORKER_VARIABLE

TRAITS = Traits(title="the spare machine")
CHILDREN: list["subprocess.Popen[bytes]"] = []
"""Whoever is let go of while it works is complained of by Python."""


class SpareOptions(Options):
    """What the spare machine is told."""

    nice: Annotated[int, Field(ge=0, le=19), Option(sign="N")] = 1
    """How far trainings give way to others."""


class SpareLauncher:
    """Starts workers with nothing but the worker's own command line."""

    traits = TRAITS
    fee = None

    def __init__(self, logs: Path, assignment: Assignment | None = None) -> None:
        self._logs = logs
        self._assignment = assignment

    def prepare(self) -> None:
        (self._logs / "runs").mkdir(parents=True, exist_ok=True)

    def launch(self, sweep: str, count: int) -> Iterator[WorkerRecord]:
        if self._assignment is None:
            raise LaunchError("This launcher only watches.")
        self.prepare()
        for _ in range(count):
            worker_id = f"spare-{secrets.token_hex(4)}"
            intent = WorkerRecord(
                launcher="spare",
                worker_id=worker_id,
                sweep=sweep,
                launched_at=datetime.now(UTC),
                is_started=False,
                details={"log": str(self._logs / f"{worker_id}.log")},
            )
            yield intent
            child = self._start(intent)
            own = {"pid": child.pid, "began": psutil.Process(child.pid).create_time()}
            yield intent.model_copy(update={"is_started": True, "details": {**intent.details, **own}})

    def _start(self, intent: WorkerRecord) -> "subprocess.Popen[bytes]":
        assert self._assignment is not None
        environment = {
            **os.environ,
            **self._assignment.server,
            WORKER_VARIABLE: intent.worker_id,
            RUN_LOGS_VARIABLE: str(self._logs / "runs"),
            "WANDB_DIR": str(self._logs),
        }
        idle = str(self._assignment.options.worker_idle)
        nice = str(fill_options(SpareOptions, "spare", self._assignment.options).nice)
        worker = [sys.executable, "-P", "-m", "multistage.worker", "--sweep", intent.sweep, "--idle", idle]
        with Path(str(intent.details["log"])).open("wb") as log:
            child = subprocess.Popen(
                ["nice", "-n", nice, *worker],
                env=environment,
                cwd=self._assignment.options.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        CHILDREN.append(child)
        return child

    def adopts(self, record: WorkerRecord) -> bool:
        return record.launcher == "spare"

    def is_alive(self, record: WorkerRecord) -> bool:
        for child in CHILDREN:
            child.poll()  # buries it, if it is dead
        if "pid" in record.details:
            process = find_living(int(str(record.details["pid"])), float(str(record.details["began"])))
            return self.adopts(record) and process is not None
        return bool(self._find(record))

    def inspect(self, record: WorkerRecord) -> WorkerEnd | None:
        return None if self.is_alive(record) else WorkerEnd(fault="none")

    def stop(self, records: Sequence[WorkerRecord]) -> None:
        own = [record for record in records if self.adopts(record)]
        for number, patience in ((signal.SIGTERM, 6.0), (signal.SIGKILL, 2.0)):
            left = [process for record in own for process in self._find(record)]
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    if process.name() != "wandb-core" or number == signal.SIGKILL:
                        process.send_signal(number)
            psutil.wait_procs(left, patience)
        if any(self.is_alive(record) for record in own):
            raise LaunchError("A worker survived.")

    def _find(self, record: WorkerRecord) -> list[psutil.Process]:
        """Find all that carries the mark of a worker; its record need not know its process."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                mark = process.environ().get(WORKER_VARIABLE)
                if self.adopts(record) and mark == record.worker_id and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def explain_waiting(self, records: Sequence[WorkerRecord]) -> str:
        return ""

    def read_failure(self, run_id: str) -> str:
        path = self._logs / "runs" / f"{Path(run_id).name}.log"
        return "\n".join(path.read_text().splitlines()[-5:]) if path.is_file() else ""

    def read_last_words(self, record: WorkerRecord) -> str:
        log = Path(self.name_log(record))
        return (log.read_text().splitlines() or [""])[-1] if log.is_file() else ""

    def name_log(self, record: WorkerRecord) -> str:
        return str(record.details["log"])

    def judge_training(self, error: str) -> None:
        return

    def close(self) -> None:
        return


class SpareKind(LauncherKind):
    name = "spare"
    subject = "the spare machine"
    options = SpareOptions

    @property
    def traits(self) -> Traits:
        return TRAITS

    def open(self, assignment: Assignment) -> SpareLauncher:
        return SpareLauncher(assignment.logs, assignment)

    def attend(self, logs: Path) -> SpareLauncher:
        return SpareLauncher(logs)

    def count_workers(self, request: SweepRequest, requested: RunRequest, is_bundled: bool) -> int:
        return 2
