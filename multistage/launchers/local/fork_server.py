"""The fork server: a process that has imported all that workers need, and forks them on order.

A fresh interpreter imports torch, Stable-Baselines3 and wandb for seconds; a fork takes milliseconds, at each stage
and for each worker that must be replaced. The fork server has a single Python thread, so its forks are sound, and lives
until its standard input is closed, which happens when its driver ends, however it ends. Its workers live on.
"""

import argparse
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NoReturn

import wandb

from multistage.domain.workers.variables import spare_loopback
from multistage.launchers.local.orders import WorkerBirth, WorkerOrder
from multistage.process_starts import read_start
from multistage.worker import program
from multistage.worker.conventions import WORKER_VARIABLE
from multistage.worker.outputs import open_private
from multistage.worker.trainings import warm_up


def serve(orders: IO[str], births: IO[str]) -> None:
    """Start the workers that are ordered, until there are no more orders."""
    # The kernel buries the workers, so that a dead one does not look alive.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in orders:
        order = WorkerOrder.model_validate_json(line)
        pid = os.fork()
        if pid == 0:
            births.close()
            become_worker(order)
        birth = WorkerBirth(pid=pid, process_started_at=read_start(pid))
        births.write(f"{birth.model_dump_json()}\n")
        births.flush()


def become_worker(order: WorkerOrder) -> NoReturn:
    """Turn this forked process into a worker: a session, a log and a mark of its own."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with Path(os.devnull).open("rb") as nothing, open_private(order.log) as log:
            os.dup2(nothing.fileno(), 0)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.environ[WORKER_VARIABLE] = order.worker_id
        os.environ.update(order.environment)
        program.main(["--sweep", order.sweep, "--idle", str(order.idle)])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # the log is the only place where it can be read
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def warm_up_wandb() -> None:
    """Begin and finish a run that goes nowhere: wandb imports half of itself only then. Leaves no thread behind."""
    with tempfile.TemporaryDirectory(prefix="multistage-") as folder:
        settings = wandb.Settings(mode="offline", silent=True, console="off", root_dir=folder)
        with wandb.init(project="warm-up", dir=folder, settings=settings) as run:
            run.log({"warm": 1})
        wandb.teardown()


def main(arguments: Sequence[str] | None = None) -> None:
    """Warm up, then serve on standard input and output."""
    parser = argparse.ArgumentParser(prog="python -m multistage.launchers.local.fork_server")
    parser.add_argument("--config_id", help="the bundled trainer to have ready")
    options = parser.parse_args(arguments)
    spare_loopback(os.environ)
    # What libraries print while they are imported must not reach the driver as an answer.
    births = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warm_up_wandb()
    if options.config_id is not None:
        warm_up(options.config_id)
    serve(sys.stdin, births)


if __name__ == "__main__":
    main()
