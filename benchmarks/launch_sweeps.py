"""Whole sweeps of trainings that sleep: what share of workers' time is training, and how soon a first one begins."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.flows.command_line import CommandLine

TRAIN = """
import atexit, os, time
began, first = time.time(), 0.0
worker = os.environ.get("MULTISTAGE_WORKER", "alone")
atexit.register(lambda: os.write(log, f"{worker} {began} {first} {time.time()}\\n".encode()))
log = os.open(os.path.join(os.path.dirname(__file__), "trainings"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
import wandb
run = wandb.init(project="alone")
for step in range(SECONDS):
    time.sleep(1)
    first = first or time.time() - 1
    run.log({"score": -(run.config.get("x", 0) - 0.3) ** 2})
run.finish()
"""
SECONDS = 20
"""That a training of the whole sweep sleeps."""


class Training(NamedTuple):
    """When a training began, took its first step, and ended, in seconds since the epoch."""

    began: float
    first: float
    ended: float


class SleepingSweeps:
    """Sweeps of a script that sleeps, by the command line of a user of its own.

    Args:
        folder: Of all that they write.
        variables: Of the environment.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.user = CommandLine(make_folder(folder, "home"))
        self.user.environment.update(variables)
        self.project = make_folder(folder, "project")
        self.elapsed = 0.0
        """Seconds that the last sweep took."""

    def train(self, name: str, seconds: int, budget: int, *given: str) -> dict[str, list[Training]]:
        """Run a sweep to its end; returns its trainings by their worker."""
        self._write_script(seconds)
        before, began = Path.cwd(), time.perf_counter()
        os.chdir(self.project)
        try:
            self.user.run(
                *("mine:v1", "--program", "train.py", "--params", "x:0-1", "--metric", "score", "--name", name),
                *("--budget", str(budget), *given),
                timeout=3600,
            )
        finally:
            os.chdir(before)
        self.elapsed = time.perf_counter() - began
        return self.read_trainings()

    def read_trainings(self) -> dict[str, list[Training]]:
        """Read what trainings have written, by their worker."""
        trainings = defaultdict(list)
        for line in (self.project / "trainings").read_text().splitlines():
            worker, *times = line.split()
            trainings[worker].append(Training(*map(float, times)))
        return {worker: sorted(own) for worker, own in trainings.items()}

    def start_alone(self) -> float:
        """Start the script by hand, as its user would; returns the seconds to its first step."""
        self._write_script(2)
        server = self.user.settings.wandb_server_folder
        url, key = json.loads((server / "server.json").read_text())["url"], (server / "key").read_text().strip()
        own = {"WANDB_BASE_URL": url, "WANDB_API_KEY": key, "WANDB_SILENT": "true"}
        place = {**self.user.environment, **own}
        began = time.time()
        subprocess.run([sys.executable, "train.py"], cwd=self.project, env=place, check=True)
        return self.read_trainings()["alone"][0].first - began

    def _write_script(self, seconds: int) -> None:
        (self.project / "trainings").unlink(missing_ok=True)
        (self.project / "train.py").write_text(TRAIN.replace("SECONDS", str(seconds)))

    def end(self) -> None:
        """End its services."""
        left = self.user.end()
        assert not left, left


def report_shares(
    sweeps: SleepingSweeps, trainings: Mapping[str, list[Training]], lives: Mapping[str, tuple[float, float]]
) -> None:
    """Print what share of the workers' time is training, and what the rest is.

    Args:
        sweeps: What trained.
        trainings: By their worker.
        lives: When each worker began and ended.
    """
    every = [training for own in trainings.values() for training in own]
    paid = sum(end - start for start, end in lives.values())
    print(f"{len(every)} runs of {SECONDS} s: {sweeps.elapsed:.0f} s, {len(lives)} workers in all")
    print(f"workers' time: {paid:.0f} s, trainings {sum(one.ended - one.began for one in every) / paid:.1%} of it")
    print(f"their {SECONDS} s alone: {SECONDS * len(every) / paid:.1%} of it")
    used = [(lives[worker], own) for worker, own in trainings.items()]
    starts = sum(own[0].began - start for (start, _), own in used)
    ends = sum(end - own[-1].ended for (_, end), own in used)
    between = sum(own[-1].ended - own[0].began - sum(one.ended - one.began for one in own) for _, own in used)
    idle = sum(end - start for worker, (start, end) in lives.items() if worker not in trainings)
    print(f"the rest: before the first training {starts:.0f} s, between {between:.0f} s, after {ends:.0f} s", end="")
    print(f", of workers that trained nothing {idle:.0f} s")


def report_starts(what: str, sweeps: SleepingSweeps, starts: list[float]) -> None:
    """Print how long starts took, beside the script's own when its user starts it."""
    alone = [sweeps.start_alone() for _ in range(len(starts))]
    print(f"{what}: {describe(starts)}; the script's own start: {describe(alone)}")


def describe(times: list[float]) -> str:
    """Name a median, and in brackets all."""
    return f"{statistics.median(times):.1f} s ({', '.join(f'{one:.1f}' for one in sorted(times))})"


def make_folder(parent: Path, name: str) -> Path:
    """Make a folder within another."""
    path = parent / name
    path.mkdir()
    return path


def find_command(name: str) -> str:
    """Find a command's path."""
    path = shutil.which(name)
    assert path is not None
    return path
