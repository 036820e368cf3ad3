"""Starts, watches and ends workers on this machine."""

import secrets
import select
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from multistage.domain.workers.worker_records import WorkerEnd, WorkerRecord
from multistage.errors import LaunchError
from multistage.launchers.base import Traits
from multistage.launchers.local.gpu_dealer import GpuDealer
from multistage.launchers.local.orders import WorkerBirth, WorkerOrder
from multistage.launchers.local.records import NAME, LocalDetails, is_local, read_local
from multistage.launchers.local.worker_processes import end_processes, find_worker
from multistage.launchers.log_folder import LogFolder
from multistage.process_starts import read_start
from multistage.worker.conventions import CAN_FORK, WORKER_VARIABLE
from multistage.worker.interpreter import INTERPRETER_VARIABLE, Interpreter
from multistage.worker.outputs import open_private, read_last_lines

WARM_UP_LIMIT = 120.0
"""Seconds within which a fork server must be ready; a cold disk takes twenty for torch."""

PATIENCE = 6.0
"""Seconds from SIGTERM to SIGKILL, above the worker's own for its training."""
KILL_PATIENCE = 2.0
"""Seconds to wait for the end after SIGKILL."""


TRAITS = Traits(title="this machine")


class LocalLauncher:
    """Starts workers as processes of this machine, each in a session of its own; a ``Launcher``.

    Args:
        folder: Where logs go: ``worker-<id>.log``, ``runs/<run id>.log``, and wandb's own files.
        environment: Added to this process's environment for the workers: the server's URL and key.
        idle: Seconds without a run after which a worker leaves.
        config_id: The bundled trainer to have ready; None for a program of the user's own.
        directory: Where trainings run; this process's own by default.
        interpreter: What trainings are run by; this process's own by default.
        dealer: Gives each worker its GPUs; None leaves them to the trainings.
    """

    traits = TRAITS
    fee = None

    def __init__(
        self,
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        idle: float = 60.0,
        config_id: str | None = None,
        directory: Path | None = None,
        interpreter: Interpreter | None = None,
        dealer: GpuDealer | None = None,
    ) -> None:
        self._logs = LogFolder(folder.absolute())
        self._environment = dict(environment or {})
        self._python = str(interpreter.path) if interpreter else None
        if interpreter is not None:
            self._environment[INTERPRETER_VARIABLE] = interpreter.model_dump_json()
        self._idle = idle
        self._config_id = config_id
        self._directory = directory
        self._dealer = dealer
        self._launcher_id = secrets.token_hex(4)
        self._launched = 0
        self._fork_server: subprocess.Popen[str] | None = None
        self._children: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Begin to import what the workers will need, in the background; `launch` does it where this was not called."""
        with self._lock:
            self._prepare()

    def launch(self, sweep: str, count: int) -> Iterator[WorkerRecord]:
        """Start workers for a sweep.

        Args:
            sweep: ``entity/project/id``.
            count: How many; fewer are started where others have all GPUs.

        Raises:
            LaunchError: One does not start; the message quotes why. Those before it work.
        """
        for _ in range(count):
            with self._lock:
                gpus = self._dealer.deal() if self._dealer else ()
                if gpus is None:
                    return
                worker = self._launch(sweep, gpus)
            yield worker

    def adopts(self, record: WorkerRecord) -> bool:
        """Whether a worker is one of this machine's, whose trainings are run by this launcher's interpreter."""
        return is_local(record) and read_local(record).python == self._python

    def is_alive(self, record: WorkerRecord) -> bool:
        """Whether the worker still runs; also of another process's worker."""
        for child in self._children:
            child.poll()  # buries it, if it is dead
        return is_local(record) and find_worker(record) is not None

    def inspect(self, record: WorkerRecord) -> WorkerEnd | None:
        """How the worker ended, which nobody tells; None while it still runs."""
        return None if self.is_alive(record) else WorkerEnd(fault="none")

    def stop(self, records: Sequence[WorkerRecord]) -> None:
        """End workers with every training below them, also of another process's; takes 8 s at most.

        Raises:
            LaunchError: A process survived SIGKILL.
        """
        own = [record for record in records if is_local(record)]
        survivors = end_processes(own, PATIENCE, KILL_PATIENCE)
        pids = {read_local(record).pid for record in own}
        for child in self._children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(KILL_PATIENCE if child.pid in pids else 0.0)
        if survivors:
            left = ", ".join(str(process.pid) for process in survivors)
            raise LaunchError(
                f"Processes cannot be ended: {left}.", "Look at them with ps; they may be stuck in the kernel."
            )

    def explain_waiting(self, records: Sequence[WorkerRecord]) -> str:
        """Nothing: a process begins at once."""
        return ""

    def read_failure(self, run_id: str) -> str:
        """The last lines that a training printed, wandb's own left out; empty where it printed none."""
        return "\n".join(self._logs.read_run(run_id))

    def read_last_words(self, record: WorkerRecord) -> str:
        """The last line of a worker's log."""
        return "".join(read_last_lines(Path(read_local(record).log), 1))

    def name_log(self, record: WorkerRecord) -> str:
        """The path of a worker's log."""
        return read_local(record).log

    def judge_training(self, error: str) -> None:
        """Nothing: each training of this machine is judged by itself."""

    def close(self) -> None:
        """End the fork server; workers live on."""
        with self._lock:
            self._close_fork_server()

    def _close_fork_server(self) -> None:
        fork_server, self._fork_server = self._fork_server, None
        if fork_server is None:
            return
        for pipe in (fork_server.stdin, fork_server.stdout):
            with suppress(BrokenPipeError):
                if pipe:
                    pipe.close()
        try:
            fork_server.wait(timeout=1.0)
        except subprocess.TimeoutExpired:  # it is still warming up
            fork_server.kill()
            fork_server.wait()

    def _prepare(self) -> None:
        self._logs.make()
        if not CAN_FORK or (self._fork_server and self._fork_server.poll() is None):
            return
        self._close_fork_server()
        arguments = [] if self._config_id is None else ["--config_id", self._config_id]
        with explain_refusal(), open_private(self._fork_server_log) as log:
            self._fork_server = subprocess.Popen(
                [sys.executable, "-P", "-m", "multistage.launchers.local.fork_server", *arguments],
                env=self._build_environment(self._launcher_id),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                cwd=self._directory,
            )

    def _launch(self, sweep: str, gpus: tuple[str, ...]) -> WorkerRecord:
        self._launched += 1
        worker_id = f"{self._launcher_id}-{self._launched}"
        order = WorkerOrder(
            worker_id=worker_id,
            sweep=sweep,
            idle=self._idle,
            log=self._logs.locate_worker(worker_id),
            environment={self._dealer.variable: ",".join(gpus)} if self._dealer and gpus else {},
        )
        birth = self._order_fork(order) if CAN_FORK else self._start_afresh(order)
        details = LocalDetails(
            pid=birth.pid,
            process_started_at=birth.process_started_at,
            log=str(order.log),
            gpus=gpus,
            python=self._python,
        )
        worker = WorkerRecord(
            launcher=NAME,
            worker_id=worker_id,
            sweep=sweep,
            launched_at=datetime.now(UTC),
            details=details.model_dump(mode="json"),
        )
        if self._dealer:
            self._dealer.note(worker)
        return worker

    def _order_fork(self, order: WorkerOrder) -> WorkerBirth:
        for _ in range(2):  # the second time with a fresh fork server, where the first one has died
            self._prepare()
            answer = self._ask_fork_server(order)
            if answer:
                return WorkerBirth.model_validate_json(answer)
            self._close_fork_server()
        log = self._fork_server_log.read_text(errors="replace").strip().splitlines()
        raise LaunchError(
            f"No worker can be started: {log[-1] if log else 'the fork server ended without a message'}",
            f"The details are in {self._fork_server_log}.",
        )

    def _ask_fork_server(self, order: WorkerOrder) -> str:
        """The fork server's answer; empty where it gives none."""
        if not (self._fork_server and self._fork_server.stdin and self._fork_server.stdout):
            return ""
        try:
            self._fork_server.stdin.write(f"{order.model_dump_json()}\n")
            self._fork_server.stdin.flush()
        except BrokenPipeError:
            return ""
        ready, _, _ = select.select([self._fork_server.stdout], [], [], WARM_UP_LIMIT)
        return self._fork_server.stdout.readline() if ready else ""

    def _start_afresh(self, order: WorkerOrder) -> WorkerBirth:
        """Start a worker in an interpreter of its own, where forking is not safe."""
        self._prepare()
        with explain_refusal(), open_private(order.log) as log:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "multistage.worker", "--sweep", order.sweep, "--idle", str(order.idle)],
                env=self._build_environment(order.worker_id) | order.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self._directory,
            )
        self._children.append(child)
        return WorkerBirth(pid=child.pid, process_started_at=read_start(child.pid))

    def _build_environment(self, mark: str) -> dict[str, str]:
        return self._logs.build_environment({**self._environment, WORKER_VARIABLE: mark})

    @property
    def _fork_server_log(self) -> Path:
        return self._logs.path / "fork_server.log"


@contextmanager
def explain_refusal() -> Iterator[None]:
    """Say what the system refuses where a process is started.

    Raises:
        LaunchError: It has no memory, no process or no disk left, or the folder is gone.
    """
    try:
        yield
    except OSError as error:
        raise LaunchError(
            f"No worker can be started: {error.strerror or error}.",
            "Free memory, processes or disk space of this machine, or resume with fewer --workers.",
        ) from error
