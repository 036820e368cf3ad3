"""W&B's agent, made attentive: it wakes when a training ends, and leaves when there is nothing left to do."""

import logging
import math
import multiprocessing
import os
import queue
import select
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

import wandb
from wandb import wandb_agent
from wandb.apis.public import sweeps as public_sweeps
from wandb.apis.public.sweeps import _register_agent
from wandb.sdk import wandb_setup
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from multistage.domain.workers.styles import fill_macros
from multistage.domain.workers.worker_records import name_host
from multistage.worker import lingering
from multistage.worker.checkpoints import prepare_checkpoints
from multistage.worker.closing import CLOSE_PATIENCE, interrupt_run, read_state, run_aside
from multistage.worker.conventions import WORKER_VARIABLE
from multistage.worker.descendants import adopt_orphans, end_descendants, end_orphans, trains_on
from multistage.worker.endings import EndReporter, Remains
from multistage.worker.lingering import LingerWatch
from multistage.worker.memory import MemoryGuard
from multistage.worker.supply import Supply
from multistage.worker.tracker_connection import connect, is_near
from multistage.worker.trainings import PATIENCE, ProgramTraining, Training, end_trainings, start_training

logger = logging.getLogger(__name__)

NOTICE_INTERVAL = 60.0
"""Seconds between two notices of the same."""

ARRIVAL = 10.0
"""Seconds that a worker waits for its first run in any case: lost ones, for which a resume starts it, may be queued
just now."""

CAUTION = 1.2
"""A run is taken only where this many times the longest one so far fits into the time that is left."""


HASTE = 0.5
"""Seconds from SIGTERM to SIGKILL for what a training has left behind, where somebody waits for the worker's end."""


class ChildWatch:
    """The agent's command queue: always empty, it only sleeps, and wakes as soon as a child process ends.

    To be made in the main thread, of which it takes SIGCHLD.

    Args:
        on_wake: Called at the end of each sleep.
        choose_pause: How long to sleep at most, in seconds; asked anew for each sleep.
        on_look: Called within a sleep, and again after the seconds that it gives; None for nothing.
    """

    def __init__(
        self,
        on_wake: Callable[[], None],
        choose_pause: Callable[[], float],
        on_look: Callable[[], float] | None = None,
    ) -> None:
        self._on_wake = on_wake
        self._choose_pause = choose_pause
        self._on_look = on_look
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        # Python writes a byte there for every signal that it handles, so SIGCHLD needs a handler, though an idle one.
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def get(self, block: bool, timeout: float) -> NoReturn:
        """Sleep; how long the agent asks for is ignored.

        Raises:
            queue.Empty: Always.
        """
        del block, timeout
        ends_at = time.monotonic() + self._choose_pause()
        while not self._sleep_until(ends_at) and time.monotonic() < ends_at:
            pass
        self._on_wake()
        raise queue.Empty

    def _sleep_until(self, ends_at: float) -> bool:
        """Sleep up to the next look; tells whether a child has ended."""
        left = max(0.0, ends_at - time.monotonic())
        if self._on_look is not None:
            left = min(left, self._on_look())
        ready, _, _ = select.select([self._reader], [], [], left)
        if ready:
            os.read(self._reader, 4096)
        return bool(ready)


class SweepAgent(wandb_agent.Agent):
    """W&B's agent for one sweep.

    Args:
        api: W&B's client.
        sweep_id: The bare id; entity and project come from the environment, as in W&B's own agent.
        idle: Leave after so many seconds without a run, an unreachable server included.
        max_runs: Leave after so many runs; None: as many as there are.
        deadline: Leave before this time of `time.monotonic`, when another run would not fit; None: there is none.
        guard: Looks after the trainings' memory where the worker has a container for itself.
    """

    def __init__(
        self,
        api: wandb.Api,
        sweep_id: str,
        idle: float,
        max_runs: int | None = None,
        deadline: float | None = None,
        guard: MemoryGuard | None = None,
    ) -> None:
        # The agent starts its processes through this name.
        wandb_agent.AgentProcess = start_training  # type: ignore[assignment,misc]
        # It takes this function from its module when it runs; wandb 0.30 took it at its import.
        public_sweeps._register_agent = register_worker  # type: ignore[assignment]
        wandb_agent._register_agent = register_worker  # type: ignore[attr-defined]
        SilenceNotice()
        look = None if guard is None else lambda: guard.look(self._run_processes.values())
        super().__init__(api, ChildWatch(self._settle_ended, self._choose_pause, look), sweep_id=sweep_id)
        self._idle = idle
        self._max_runs = max_runs
        self._deadline = deadline
        self._guard = guard
        self._supply = Supply(sweep_id)
        self._taken_at = self._worked_at = time.monotonic()
        self._longest = 0.0
        near = is_near(api.settings["base_url"])
        self._reporter = EndReporter(near)
        self._lingering = LingerWatch(lambda run_id: read_state(self._api, run_id))
        adopt_orphans()
        self._busy_pause, self._idle_pause = (1.0, 0.2) if near else (5.0, 5.0)

    def _choose_pause(self) -> float:
        """Seconds until the next heartbeat, unless a training ends before."""
        return self._busy_pause if self._run_processes else self._idle_pause

    def close(self) -> None:
        """End what still trains, and wandb-core, within seconds: a server that is away is not waited for.

        A program that a signal ends does not end its run, which would seem to train until the server loses patience:
        that is done here.
        """
        trainings: list[Training] = list(self._run_processes.values())
        end_trainings(trainings)
        for training in trainings:
            self._clear_away(training, training.wait(), HASTE)
            if isinstance(training, ProgramTraining) and training.wait() < 0:
                run_aside(interrupt_run, training.run_id, limit=CLOSE_PATIENCE)
        self._end_core(next((training.poll() for training in trainings if not training.ended_in_order), None))

    def is_flapping(self) -> bool:
        """Never: whether a sweep with failing runs goes on is the driver's decision."""
        return False

    def is_failing(self) -> bool:
        """Never, as above."""
        return False

    def _settle_ended(self) -> None:
        """Forget the trainings that have ended, so that the next heartbeat asks for another run.

        W&B's agent restarts its wandb-core after every run, which takes half a second; here it stays, unless a forked
        child has left a run open in it.
        """
        self._end_lingering()
        self._end_orphans()
        for run_id, training in list(self._run_processes.items()):
            code = training.poll()
            if code is None:
                continue
            shortage = self._guard.explain(training.run_id, code) if self._guard else ""
            if not training.ended_in_order:
                self._restart_core(code)
            self._report_end(training, code, shortage)
            del self._run_processes[run_id]
            self._finished += 1
            self._worked_at = time.monotonic()
            self._longest = max(self._longest, self._worked_at - self._taken_at)
        self._leave_in_time()

    def _leave_in_time(self) -> None:
        """Take no further run where this worker may not train another, or could not train it to its end."""
        if self._run_processes or not self._running:
            return
        if self._max_runs is not None and self._finished >= self._max_runs:
            logger.info("Trained %d runs: exiting.", self._finished)
            self._running = False
        elif self._deadline is not None and time.monotonic() + CAUTION * self._longest > self._deadline:
            logger.info("No time for another run: exiting.")
            self._running = False

    def _end_lingering(self) -> None:
        """End the programs that have outlived their runs."""
        for training in self._run_processes.values():
            if not isinstance(training, ProgramTraining) or training.poll() is not None:
                continue
            try:
                overdue = self._lingering.is_overdue(training.run_id)
            except (wandb.Error, WandbApiFailedError, ValueError) as error:
                logger.debug("The state of run %s cannot be read: %s", training.run_id, error)
                continue
            if overdue:
                logger.info("Run %s has ended, and its program is still running after %g s: it is ended.",
                            training.run_id, lingering.GRACE)  # fmt: skip
                training.outlived = True
                end_trainings([training])

    def _clear_away(self, training: Training, code: int, patience: float = PATIENCE) -> Remains:
        """End what a program has left behind, so that nothing of it holds the next one's GPU or ports."""
        if not isinstance(training, ProgramTraining):
            return Remains()
        in_background = code == 0 and trains_on(training.run_id)
        return Remains(end_descendants(training.run_id, training.elders, patience), in_background)

    def _end_orphans(self) -> None:
        own = {training.pid for training in self._run_processes.values()}
        own |= {child.pid for child in multiprocessing.active_children() if child.pid is not None}
        connection = wandb_setup.singleton()._connection
        if connection is not None and connection._proc is not None:
            own.add(connection._proc._process.pid)
        end_orphans(own)

    def _report_end(self, training: Training, code: int, shortage: str) -> None:
        """Clear away behind a training, and report its end; leave where no other training would fare better."""
        outcome = self._reporter.report(self._api, training, code, shortage, self._clear_away(training, code))
        if outcome == "stuck":
            self._restart_core(-signal.SIGKILL)
        elif outcome == "unfit":
            logger.info("No other run would do better: exiting.")
            self._running = False

    def _command_run(self, command: dict[str, Any]) -> None:
        """Start a run; the sweep's command may hold macros of this project, which W&B's agent would drop."""
        written = self._sweep_command
        values = {name: entry["value"] for name, entry in command["args"].items()}
        again = command["type"] == "resume"
        try:
            self._sweep_command = fill_macros(written, values)
            prepare_checkpoints(self._api, command["run_id"], os.environ, again=again)
            super()._command_run(command)  # type: ignore[no-untyped-call]
        finally:
            self._sweep_command = written

    def _restart_core(self, left_by: int) -> None:
        self._end_core(left_by)
        self._api = connect()

    def _end_core(self, left_by: int | None) -> None:
        """End wandb-core.

        Where a dead child has left its run open, an exit code closes the run with it. After a signal (a kill, a
        segmentation fault) the run is left without an end, exactly as by a program that dies with a wandb-core of its
        own: the server finds it crashed.

        Args:
            left_by: Exit code of the training that left its run open; None where none did.
        """
        connection = wandb_setup.singleton()._connection
        if left_by is not None and left_by < 0 and connection is not None and connection._proc is not None:
            connection._proc._process.kill()
        try:
            wandb.teardown(exit_code=max(left_by or 0, 0))
        except (SystemExit, Exception) as error:  # it reports wandb-core's own end
            logger.debug("wandb-core ended: %r", error)

    def _heartbeat_commands(self, agent_id: str, run_status: dict[str, bool]) -> list[dict[str, Any]]:
        """Ask for commands, and leave after a while without any; a server that is away gives none."""
        commands: list[dict[str, Any]] = super()._heartbeat_commands(agent_id, run_status)
        if commands:
            self._taken_at = time.monotonic()
        for command in commands:
            if command.get("type") in ("run", "resume"):
                logger.info("Run %s was handed out.", command.get("run_id"))
        rested = time.monotonic() - self._worked_at
        if commands or self._run_processes:
            self._worked_at = time.monotonic()
        elif rested > self._idle:
            logger.info("No run for %g s: exiting.", self._idle)
            self._running = False
        elif (self._finished or rested > ARRIVAL) and self._supply.is_used_up(self._api):
            logger.info("The sweep has handed out all its runs: exiting.")
            self._running = False
        return commands


def register_worker(api: wandb.Api, host: str, *, sweep_id: str) -> dict[str, Any]:
    """Register an agent with the server under its host's name and the worker's id."""
    worker_id = os.environ.get(WORKER_VARIABLE)
    return _register_agent(api, name_host(host, worker_id) if worker_id else host, sweep_id=sweep_id)


class SilenceNotice(logging.Handler):
    """Says in the worker's log, at most once a minute, that heartbeats fail: wandb itself tells nobody."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._said_at = -math.inf
        logging.getLogger("wandb.apis.public.sweeps").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take wandb's record of a failed heartbeat."""
        if time.monotonic() - self._said_at > NOTICE_INTERVAL:
            self._said_at = time.monotonic()
            cause = record.exc_info[1] if record.exc_info else record.getMessage()
            logger.warning("The server does not answer; trying again: %s", cause)
