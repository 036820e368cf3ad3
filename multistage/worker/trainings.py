"""Training processes: how a run is started, watched and ended.

Each is in a process group of its own, as with W&B's agent, and in the worker's session. Its output goes to a file of
its own where ``MULTISTAGE_RUN_LOGS`` names a folder, and to the worker's output otherwise.
"""

import ctypes
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil
import wandb

from multistage.domain.workers.styles import BUNDLED_PROGRAM
from multistage.leaving import leave
from multistage.worker.conventions import CAN_FORK, RUN_VARIABLE
from multistage.worker.outputs import open_log

PATIENCE = 4.0
"""Seconds between SIGTERM and SIGKILL: enough to send the last rows, and short enough for whoever waits."""

PR_SET_PDEATHSIG = 1
"""``man 2 prctl``."""


class Training(ABC):
    """One training process, with the methods that W&B's agent calls.

    Attributes:
        run_id: The run that it trains.
        pid: Of the process, which leads its process group.
        outlived: Whether it was ended because it lived on after its run.
    """

    run_id: str
    pid: int
    outlived: bool = False

    @abstractmethod
    def poll(self) -> int | None:
        """The exit code (negative: the signal that ended it), or None while it runs."""

    @property
    def ended_in_order(self) -> bool:
        """Whether the tracker knows how the training ended, so that nobody must clean up behind it."""
        return True

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Raises:
            subprocess.TimeoutExpired: It runs on after ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(self.run_id, timeout or 0.0)
            time.sleep(0.01)
        return code

    def terminate(self) -> None:
        """Ask for a clean end."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it with everything in its process group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


class ProgramTraining(Training):
    """A program started as W&B's agent starts it.

    Attributes:
        command: What was started.
        elders: Children that this process had before.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.run_id = environment["WANDB_RUN_ID"]
        self.command = tuple(command)
        # The program gets a wandb-core of its own, which lives as long as itself and not as the worker.
        environment = {key: value for key, value in environment.items() if key != "WANDB_SERVICE"}
        environment[RUN_VARIABLE] = self.run_id
        self.elders = frozenset(child.pid for child in psutil.Process().children())
        with open_log(self.run_id) as log:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()


class ForkedTraining(Training):
    """A bundled trainer in a child of this process, which has imported and warmed up all that it needs."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.run_id = environment["WANDB_RUN_ID"]
        context = multiprocessing.get_context("fork")
        self._ended_in_order = context.RawValue(ctypes.c_bool, False)
        self._process = context.Process(target=self._train, args=(list(arguments), dict(environment), os.getpid()))
        self._process.start()
        assert self._process.pid is not None  # noqa: S101 - set by start()
        self.pid = self._process.pid
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(self.pid, self.pid)  # also done by the child: whoever is first

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.exitcode

    @property
    def ended_in_order(self) -> bool:
        """Whether the child has finished its run with the tracker; a segmentation fault leaves it open."""
        return bool(self._ended_in_order.value)

    def _train(self, arguments: list[str], environment: dict[str, str], worker: int) -> None:
        """Become the training process, in the child."""
        with suppress(PermissionError):
            os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        follow_parent(worker)
        os.environ.clear()
        os.environ.update(environment)
        os.environ.setdefault("WANDB_SILENT", "true")
        with open_log(self.run_id) as log:
            if log is not None:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
        from multistage.training.training_program import run_training

        code = run_training(arguments)
        wandb.teardown()
        self._ended_in_order.value = True
        sys.stdout.flush()
        sys.stderr.flush()
        leave(code)


def follow_parent(parent: int) -> None:
    """Make the kernel send SIGTERM to this process when its parent dies (Linux only)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died before the call
        os.kill(os.getpid(), signal.SIGTERM)


def start_training(env: Mapping[str, str], command: Sequence[str], forward_signals: bool = False) -> Training:
    """Start the process of one run; stands in for ``wandb.wandb_agent.AgentProcess``.

    Args:
        env: The training's whole environment.
        command: The sweep's command, its macros resolved.
        forward_signals: Unused: the worker itself decides what a signal to it means.
    """
    del forward_signals
    arguments = find_bundled_arguments(command)
    if arguments is None:
        return ProgramTraining(command, env)
    if not CAN_FORK:
        return ProgramTraining(shield_bundled(command), env)
    from multistage.training.training_program import parse_arguments  # other trainings have no need of it

    warm_up(parse_arguments(arguments).config_id)
    return ForkedTraining(arguments, env)


def find_bundled_arguments(command: Sequence[str]) -> list[str] | None:
    """The arguments for ``multistage.training`` in a command that starts it; None for any other program."""
    words = list(command)
    if words[:1] == ["/usr/bin/env"]:
        words = words[1:]
    if len(words) < 3 or Path(words[0]).name != "python" or words[1:3] != ["-m", BUNDLED_PROGRAM]:
        return None
    return words[3:]


def shield_bundled(command: Sequence[str]) -> list[str]:
    """Keep a bundled trainer's interpreter from taking a user's own ``multistage.py`` for this package."""
    at = list(command).index("-m")
    return [*command[:at], "-P", *command[at:]]


@cache
def warm_up(config_id: str) -> None:
    """Import and exercise a bundled trainer in this process, so that its forked children need not."""
    from multistage.training.catalogue import find_trainer

    trainer = find_trainer(config_id)
    if trainer is not None:
        trainer.load().warm_up()
        # What exists now is shared with all children; collecting it in one of them would copy its pages.
        gc.freeze()


def end_trainings(trainings: Iterable[Training], patience: float = PATIENCE) -> None:
    """End trainings with everything in their process groups: SIGTERM, then SIGKILL after ``patience`` seconds."""
    trainings = list(trainings)
    for training in trainings:
        training.terminate()
    deadline = time.monotonic() + patience
    for training in trainings:
        with suppress(subprocess.TimeoutExpired):
            training.wait(max(0.0, deadline - time.monotonic()))
    for training in trainings:
        training.kill()
        training.wait()
