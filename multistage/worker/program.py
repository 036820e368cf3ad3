"""The worker's program: from its command line to its exit code.

Reads ``WANDB_BASE_URL`` and ``WANDB_API_KEY`` from the environment, like everything that uses wandb. Ends with exit
code 0 when the sweep is over or had no run for it, 1 when it cannot work, and by the signal that ended it.
"""

import argparse
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

import wandb
from wandb.sdk.lib.service.service_connection import WandbApiFailedError
from wandb.sdk.sweeps import SweepNotFoundError

from multistage.domain.workers.variables import settle_variables, spare_loopback, withhold_secrets
from multistage.errors import MultistageError, TrackerError, UsageError
from multistage.leaving import leave
from multistage.worker.agent import SweepAgent
from multistage.worker.interpreter import INTERPRETER_VARIABLE, Interpreter, enter_interpreter
from multistage.worker.memory import MemoryGuard
from multistage.worker.tracker_connection import connect, is_near, is_refused

logger = logging.getLogger("multistage.worker")

RETRY_PAUSE = 1.0
"""Seconds between two attempts to reach a server that is away."""

LOOPBACK_DEFAULTS = {
    "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "1",
    # Ask a server that is being restarted every few seconds, for an hour.
    "WANDB_X_FILE_STREAM_RETRY_MAX": "1200",
    "WANDB_X_FILE_STREAM_RETRY_WAIT_MAX_SECONDS": "3",
    "WANDB_X_GRAPHQL_RETRY_MAX": "1200",
    "WANDB_X_GRAPHQL_RETRY_WAIT_MAX_SECONDS": "3",
}
"""For trainings whose server is near: wandb's own (rows every 15 s, retries a minute apart) suit one that is
far and has many users."""


class WorkerStopped(BaseException):  # like KeyboardInterrupt, it passes all handlers
    """A signal asked the worker to end.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def stop_worker(number: int, _frame: FrameType | None) -> NoReturn:
    """Signal handler: end the worker, once."""
    for again in (signal.SIGTERM, signal.SIGINT):
        signal.signal(again, signal.SIG_IGN)
    raise WorkerStopped(number)


def prepare_environment(entity: str, project: str, sweep_id: str) -> None:
    """Set what wandb and the trainings read from the environment."""
    settle_variables(os.environ, os.environ.get("WANDB_BASE_URL", ""))
    near = is_near(os.environ.get("WANDB_BASE_URL", ""))
    spare_loopback(os.environ, *([urlsplit(os.environ["WANDB_BASE_URL"]).hostname or ""] if near else []))
    withhold_secrets(os.environ)
    os.environ["WANDB_ENTITY"] = entity
    os.environ["WANDB_PROJECT"] = project
    os.environ["WANDB_SWEEP_ID"] = sweep_id
    # `${interpreter}` in a sweep's command is `python`: it must be this one, wherever the worker was started from.
    if told := os.environ.get(INTERPRETER_VARIABLE):
        shims = Path(os.environ.get("WANDB_DIR") or tempfile.gettempdir()).absolute() / "bin"
        enter_interpreter(Interpreter.model_validate_json(told), os.environ, shims, Path(sys.prefix))
    else:
        own = str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join([own, os.environ.get("PATH", os.defpath)])
    if near:
        for name, value in LOOPBACK_DEFAULTS.items():
            os.environ.setdefault(name, value)


def work(
    sweep: str,
    idle: float,
    max_runs: int | None = None,
    seconds: float | None = None,
    memory: float | None = None,
) -> None:
    """Train a sweep's runs until it has none left.

    Args:
        sweep: ``entity/project/id``.
        idle: Leave after so many seconds without a run, or without an answer from the server.
        max_runs: Train so many runs at most.
        seconds: Take no run that would not end within so many seconds from now, as far as earlier ones tell.
        memory: GiB that this worker's container has for it alone; None where it shares a machine.

    Raises:
        UsageError: The sweep's name is no such path.
        TrackerError: The server cannot be reached for ``idle`` seconds, refuses the key, or has no such sweep.
    """
    parts = sweep.split("/")
    if len(parts) != 3 or not all(parts):
        raise UsageError(f"{sweep!r} does not name a sweep.", "Give it as ENTITY/PROJECT/ID.")
    prepare_environment(*parts)
    started_at = time.monotonic()
    deadline = None if seconds is None else started_at + seconds
    guard = None if memory is None else MemoryGuard(memory)
    agent: SweepAgent | None = None
    try:
        while True:
            try:
                agent = agent or SweepAgent(connect(), parts[-1], idle, max_runs, deadline, guard)
                agent.run()  # type: ignore[no-untyped-call]
                return
            except SweepNotFoundError:
                logger.info("The sweep is gone.")
                return
            except (wandb.Error, WandbApiFailedError, TimeoutError) as error:
                if is_refused(error):
                    raise TrackerError(f"The worker cannot run for sweep {sweep}: {error}") from error
                if time.monotonic() - started_at > idle:
                    raise _explain_silence(sweep, error, reached=agent is not None) from error
                logger.warning("The server does not answer; trying again: %s", error)
                time.sleep(RETRY_PAUSE)
    finally:
        if agent is not None:
            agent.close()


def _explain_silence(sweep: str, error: Exception, *, reached: bool) -> TrackerError:
    """Say that the server was asked in vain, from the first or by now."""
    if reached:
        return TrackerError(f"The worker cannot run for sweep {sweep}: {error}")
    server = os.environ.get("WANDB_BASE_URL", "")
    reason = " ".join(str(error).split()).rstrip(".")
    return TrackerError(f"{socket.gethostname()} cannot reach the W&B server at {server}: {reason}.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a worker, and end this process as it did.

    Raises:
        SystemExit: With the exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m multistage.worker", description="Train the runs of one W&B sweep.")
    parser.add_argument("--sweep", required=True, metavar="ENTITY/PROJECT/ID")
    parser.add_argument("--idle", type=float, default=60.0, metavar="SECONDS", help="leave after so long without a run")
    parser.add_argument("--max-runs", type=int, metavar="COUNT", help="leave after so many runs")
    parser.add_argument("--seconds", type=float, metavar="SECONDS", help="take no run that would end later than this")
    parser.add_argument("--memory", type=float, metavar="GIB", help="what this container has, for this worker alone")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, force=True)
    code = 0
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop_worker)
        logger.info("Worker %d for sweep %s.", os.getpid(), options.sweep)
        work(options.sweep, options.idle, options.max_runs, options.seconds, options.memory)
    except MultistageError as error:
        logger.error("%s", error)
        code = error.exit_code
    except WorkerStopped as stopped:
        logger.info("Ended by %s.", signal.Signals(stopped.number).name)
        code = -stopped.number
    logging.shutdown()
    leave(code)
