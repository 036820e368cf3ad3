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
from urllib.parse import urlsplit

import wandb
from wandb import wandb_agent
from wandb.sdk import wandb_setup
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from multistage.worker.conventions import CAN_FORK
from multistage.worker.memory import MemoryGuard
from multistage.worker.outputs import find_log, read_last_lines
from multistage.worker.trainings import ProgramTraining, Training, end_trainings, start_training

logger = logging.getLogger(__name__)

LOOPBACK_HOSTS = {"127.0.0.1", "localhost", "::1"}
CLOSE_LIMIT = 30.0
"""Seconds within which a run that its program has left open is closed."""
CLOSE_PATIENCE = 3.0
"""The same where somebody waits for the worker's end."""
INTERRUPTED = 255
"""The exit code by which wandb says that a run was interrupted from outside."""

NOTICE_INTERVAL = 60.0
"""Seconds between two notices of the same."""

LOOK_INTERVAL = 0.1
"""Seconds between two looks at the memory of a container; a program that does nothing but fill pages gets some 0.1 to
0.2 GiB meanwhile."""

CAUTION = 1.2
"""A run is taken only where this many times the longest one so far fits into the time that is left."""


def is_loopback(url: str) -> bool:
    """Whether a server is on this machine, where polling it often costs nobody anything."""
    return urlsplit(url).hostname in LOOPBACK_HOSTS


class ChildWatch:
    """The agent's command queue: always empty, it only sleeps, and wakes as soon as a child process ends.

    To be made in the main thread, of which it takes SIGCHLD.

    Args:
        on_wake: Called at the end of each sleep.
        choose_pause: How long to sleep at most, in seconds; asked anew for each sleep.
        on_look: Called ten times a second of a sleep; None for nothing.
    """

    def __init__(
        self, on_wake: Callable[[], None], choose_pause: Callable[[], float], on_look: Callable[[], None] | None = None
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
        """Sleep; the agent's own wish of how long is not heeded.

        Raises:
            queue.Empty: Always.
        """
        del block, timeout
        ends_at = time.monotonic() + self._choose_pause()
        while not self._doze(ends_at) and time.monotonic() < ends_at:
            pass
        self._on_wake()
        raise queue.Empty

    def _doze(self, ends_at: float) -> bool:
        """Sleep up to the next look; tells whether a child has ended."""
        left = max(0.0, ends_at - time.monotonic())
        if self._on_look is not None:
            self._on_look()
            left = min(left, LOOK_INTERVAL)
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
        SilenceNotice()
        look = None if guard is None else self._look_after_memory
        super().__init__(api, ChildWatch(self._settle_ended, self._choose_pause, look), sweep_id=sweep_id)
        self._idle = idle
        self._max_runs = max_runs
        self._deadline = deadline
        self._guard = guard
        self._taken_at = self._worked_at = time.monotonic()
        self._longest = 0.0
        near = is_loopback(api.settings["base_url"])
        self._busy_pause, self._idle_pause = (1.0, 0.2) if near else (5.0, 5.0)

    def _choose_pause(self) -> float:
        """Seconds until the next heartbeat, unless a training ends before."""
        return self._busy_pause if self._run_processes else self._idle_pause

    def _look_after_memory(self) -> None:
        if self._guard is not None:
            self._guard.look(self._run_processes.values())

    def close(self) -> None:
        """End what still trains, and wandb-core, within seconds: a server that is away is not waited for.

        A program that a signal ends does not end its run, which would seem to train until the server loses patience:
        that is done here.
        """
        trainings: list[Training] = list(self._run_processes.values())
        end_trainings(trainings)
        for training in trainings:
            if isinstance(training, ProgramTraining) and training.wait() < 0:
                run_aside(close_run, INTERRUPTED, "", limit=CLOSE_PATIENCE)
        self._end_core(next((training.poll() for training in trainings if not training.ended_in_order), None))

    def is_flapping(self) -> bool:
        """Never: whether a sweep with failing runs goes on is the orchestrator's decision."""
        return False

    def is_failing(self) -> bool:
        """Never, as above."""
        return False

    def _settle_ended(self) -> None:
        """Forget the trainings that have ended, so that the next heartbeat asks for another run.

        W&B's agent restarts its wandb-core after every run, which takes half a second; here it stays, unless a forked
        child has left a run open in it.
        """
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
            logger.info("Trained %d runs: leaving.", self._finished)
            self._running = False
        elif self._deadline is not None and time.monotonic() + CAUTION * self._longest > self._deadline:
            logger.info("No time for another run: leaving.")
            self._running = False

    def _report_end(self, training: Training, code: int, shortage: str) -> None:
        """Say in the worker's log how a training ended, and to the tracker where it could not say so itself.

        Args:
            training: That ended.
            code: Its exit code.
            shortage: Says that it ran out of memory, which is its config's fault; empty where it did not.
        """
        log = find_log(training.run_id)
        logger.info("--- run %s exit code %d%s", training.run_id, code, f", output in {log}" if log else "")
        if shortage:
            logger.info("    %s", shortage)
            code = 128 + signal.SIGKILL
        elif code <= 0:
            return
        lines = read_last_lines(log)
        for line in lines:
            logger.info("    %s", line)
        if shortage or isinstance(training, ProgramTraining):
            try:
                sentence = shortage or (lines[-1] if lines else f"Exit code {code}.")
                if not report_failure(self._api, training.run_id, code, sentence):
                    self._restart_core(-signal.SIGKILL)
            except (wandb.Error, WandbApiFailedError, ValueError) as error:
                logger.warning("The failure cannot be reported to the server: %s", error)

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
        if commands or self._run_processes:
            self._worked_at = time.monotonic()
        elif time.monotonic() - self._worked_at > self._idle:
            logger.info("No run for %g s: leaving.", self._idle)
            self._running = False
        return commands


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


def report_failure(api: wandb.Api, run_id: str, code: int, sentence: str) -> bool:
    """Tell the tracker why a program failed, in the run's summary under ``error``.

    A program that failed before ``wandb.init``, or left without a word, has not ended its run: it is ended here with
    the program's exit code, or else it would pass for lost to the machine and be trained again.

    Returns:
        Whether the run is closed now; False where that took too long.
    """
    api.flush()  # type: ignore[no-untyped-call]
    run = api.run(f"{os.environ['WANDB_ENTITY']}/{os.environ['WANDB_PROJECT']}/{run_id}")
    if run.state == "failed":
        if "error" not in run.summary:
            run.summary["error"] = sentence
            run.summary.update()  # type: ignore[no-untyped-call]
        return True
    return run_aside(close_run, code, sentence, limit=CLOSE_LIMIT)


def run_aside(function: Callable[..., None], *arguments: object, limit: float) -> bool:
    """Call a function in a process of its own, whose wandb knows the run by the environment that the agent has made.

    Returns:
        Whether it returned within ``limit`` seconds.
    """
    context = multiprocessing.get_context("fork") if CAN_FORK else multiprocessing.get_context("spawn")
    process = context.Process(target=function, args=arguments)
    process.start()
    process.join(limit)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode == 0


def close_run(code: int, sentence: str) -> None:
    """Take up the environment's run again, only to end it."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    quiet = wandb.Settings(
        silent=True, console="off", disable_git=True, x_disable_stats=True, x_save_requirements=False
    )
    run = wandb.init(resume="allow", settings=quiet)
    if sentence:
        run.summary["error"] = sentence
    run.finish(exit_code=code)
    wandb.teardown()


def is_refused(error: Exception) -> bool:
    """Whether the server answered that the key or the sweep is wrong, so that asking again is of no use."""
    causes = [error, error.__cause__]
    statuses = {
        cause.response.http_status for cause in causes if isinstance(cause, WandbApiFailedError) and cause.response
    }
    # wandb makes a plain sentence of a sweep that does not exist.
    return bool(statuses & {401, 403}) or str(error).endswith("not found")


def connect() -> wandb.Api:
    """Start wandb-core in this process and log in.

    Raises:
        wandb.Error: The server cannot be reached or refuses the key.
    """
    # One retry: this process asks again by itself, and must notice the end of a training meanwhile.
    quick = wandb.Settings(
        silent=True, x_graphql_retry_max=1, x_graphql_retry_wait_min_seconds=0.1, x_graphql_retry_wait_max_seconds=1.0
    )
    wandb.setup(quick)
    return wandb.Api()
