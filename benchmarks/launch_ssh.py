"""What workers behind ssh cost, on a real sshd of this machine that ssh knows by two names.

A sweep trains with one worker, whose processes tell how long it is from a worker's start to the first step of a
training. Then eight workers, or another number, half of them on each host, train a whole sweep whose runs sleep.
Nothing is submitted and nothing waits in a queue, so there is nothing else to measure.
"""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from launch_sweeps import SECONDS, SleepingSweeps, make_folder, report_shares, report_starts

from tests.ssh_hosts import NAMES, SshHosts

LOOK_AGAIN = 0.25
"""Seconds between two looks at the processes."""


def measure(budget: int | None, at_once: int) -> None:
    """Print the figures; None takes the usual value."""
    with tempfile.TemporaryDirectory(prefix="l-") as folder, SshHosts(make_folder(Path(folder), "ssh")) as hosts:
        sweeps = SleepingSweeps(Path(folder), {"PATH": hosts.path})
        try:
            with watch_workers(Path(folder)) as lives:
                own = sweeps.train("alone", 2, 10, "--launcher", "ssh", "--hosts", NAMES[0])
            starts = [trainings[0].first - lives[worker][0] for worker, trainings in own.items()]
            report_starts("from a worker's start to the first step", sweeps, starts)
            if budget == 0:
                return
            named = ",".join(f"{name}:{at_once // len(NAMES)}" for name in NAMES)
            with watch_workers(Path(folder)) as lives:
                trainings = sweeps.train("sleeping", SECONDS, budget or 64, "--launcher", "ssh", "--hosts", named)
            print(f"at most {at_once} workers at once:")
            report_shares(sweeps, trainings, lives)
        finally:
            sweeps.end()


@contextmanager
def watch_workers(folder: Path) -> Iterator[dict[str, tuple[float, float]]]:
    """Note when each worker's process began, and when it was last there."""
    lives: dict[str, tuple[float, float]] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK_AGAIN):
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    if "multistage.worker" not in process.cmdline():
                        continue
                    variables = process.environ()
                    if variables.get("WANDB_DIR", "").startswith(str(folder)):
                        lives[variables["MULTISTAGE_WORKER"]] = (process.create_time(), time.time())

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield lives
    finally:
        done.set()
        watching.join()
