"""A worker that nobody launched: it follows a sweep through its stages, and leaves when the sweep is done."""

import argparse
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from multistage.domain.workers.variables import settle_variables
from multistage.errors import MultistageError, TrackerError, UsageError
from multistage.options.refusal import check_seconds
from multistage.worker.conventions import NEAR_VARIABLE, RUN_LOGS_VARIABLE, WORKER_VARIABLE
from multistage.worker.tunnel import Tunnel
from multistage.worker.workplace import Address, Workplace, find_workplace, parse_address

USUAL_IDLE = 600.0
"""Seconds without work after which such a worker leaves: between two stages there is none for a moment."""
LOOK_AGAIN = 2.0
"""Seconds between two looks whether there is work."""
STAGE_IDLE = 60.0
"""Seconds without a run after which it looks for another stage."""
QUICK = 5.0
"""Seconds within which a worker that fails could not work at all."""

logger = logging.getLogger("multistage.worker")


class Follower:
    """Trains for a sweep, one stage after the other, each in a worker of its own.

    Args:
        address: The sweep.
        idle: Seconds without work after which it leaves.
    """

    def __init__(self, address: Address, idle: float) -> None:
        self._address = address
        self._idle = idle
        self._worker: subprocess.Popen[bytes] | None = None
        self._ended = False
        self._logs = Path(os.environ.get(RUN_LOGS_VARIABLE) or tempfile.mkdtemp(prefix="multistage-runs-"))
        self._mark = f"{socket.gethostname()}-{secrets.token_hex(4)}"

    def follow(self) -> None:
        """Work until the sweep is done, or there was nothing to do for too long.

        Raises:
            UsageError: The key is not the sweep's.
            TrackerError: The server does not answer, or lets nobody work.
        """
        worked_at = time.monotonic()
        while not self._ended:
            place = self._look(worked_at)
            if place is not None and place.is_done:
                logger.info("The sweep is done: exiting.")
                return
            sweep = place.sweep if place else None
            if sweep is not None:
                began, trained = time.monotonic(), self._count_runs()
                can_work = self._work(sweep)
                if self._count_runs() > trained:
                    worked_at = time.monotonic()
                elif not can_work and time.monotonic() - began < QUICK and not self._ended:
                    raise TrackerError(f"No worker can run for {sweep} here.", "What it printed says why.")
            if time.monotonic() - worked_at > self._idle:
                logger.info("No work for %g s: exiting.", self._idle)
                return
            time.sleep(LOOK_AGAIN)

    def end(self, number: int, _frame: FrameType | None) -> None:
        """Signal handler: end the worker in order, and then this."""
        self._ended = True
        if self._worker is not None:
            self._worker.send_signal(number)

    def _count_runs(self) -> int:
        """Count the runs that were begun here, by their logs."""
        return sum(1 for _ in self._logs.glob("*.log"))

    def _look(self, worked_at: float) -> Workplace | None:
        try:
            return find_workplace(self._address)
        except TrackerError as error:
            if time.monotonic() - worked_at > self._idle:
                raise
            logger.warning("%s Asking again.", error)
            return None

    def _work(self, sweep: str) -> bool:
        """Run a worker for a sweep to its end; tells whether it could work."""
        environment = {**os.environ, WORKER_VARIABLE: self._mark, RUN_LOGS_VARIABLE: str(self._logs)}
        if self._address.base_url is not None:
            environment |= {"WANDB_BASE_URL": self._address.base_url, NEAR_VARIABLE: "1"}
        settle_variables(environment, environment.get("WANDB_BASE_URL", ""))
        command = [sys.executable, "-P", "-m", "multistage.worker", "--sweep", sweep, "--idle", f"{STAGE_IDLE:g}"]
        self._worker = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
        code = self._worker.wait()
        self._worker = None
        return code == 0


def read_token() -> None:
    """Take the key from the standard input where no variable has it.

    Raises:
        UsageError: Nobody gave one.
    """
    if os.environ.get("WANDB_API_KEY"):
        return
    token = "" if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not token:
        raise UsageError("A worker needs the sweep's key.", "Give it as WANDB_API_KEY, or on the standard input.")
    os.environ["WANDB_API_KEY"] = token


def follow(address: str, idle: float = USUAL_IDLE, way: str | None = None) -> None:
    """Work for a sweep until it is done.

    Args:
        address: ``URL/NAME``, or ``ENTITY/PROJECT/NAME`` of W&B's.
        idle: Seconds without work after which to leave.
        way: ``ssh:HOST`` where the URL is one that only that host reaches.

    Raises:
        UsageError: It names no sweep, the key is not the sweep's, or ``idle`` is no amount of seconds.
        TrackerError: The server does not answer, or lets nobody work.
    """
    check_seconds("--idle", idle)
    place = parse_address(address)
    if place.base_url is not None:
        read_token()
    with ExitStack() as stack:
        if way is not None:
            tunnel = stack.enter_context(Tunnel(way, place.base_url or ""))
            place = place.model_copy(update={"base_url": tunnel.url})
        follower = Follower(place, idle)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, follower.end)
        follower.follow()


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m multistage.worker.following``: what `multistage-sweep work` does, where only a worker is installed.

    Raises:
        SystemExit: With the exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m multistage.worker.following", description=follow.__doc__)
    parser.add_argument("address", metavar="URL/NAME")
    parser.add_argument(
        "--idle", type=float, default=USUAL_IDLE, metavar="SECONDS", help="leave after so long without work"
    )
    parser.add_argument("--tunnel", metavar="ssh:HOST", help="by way of the one host that reaches the URL")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    try:
        follow(options.address, options.idle, options.tunnel)
    except MultistageError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
