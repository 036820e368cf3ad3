"""Sweeps that are billed by training time: runs may train a part of their length, stop, and go on later.

The currency is what a whole training takes. A run is billed for the levels that it trains, a tenth of a training each,
and one that goes on for those that are new. A run begins where the rest of the budget could train it as long as it is
meant to train; what a stopped one leaves buys further ones. As elsewhere in this benchmark the workers are
asynchronous, and their runs last unevenly long.
"""

import heapq
import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from search_curves import LEVELS, Curves
from search_methods import CONTENDERS
from search_summary import Cell
from search_tables import Matrix, Table

from multistage.domain.runs.results import Config
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.budget import count_finalists
from multistage.search.sobol import key_of


class Job(NamedTuple):
    """What a worker is to train."""

    config: Config
    level: int = LEVELS
    """The level at which it ends."""
    resumed: int | None = None
    """The run that goes on; None for a new one."""


@dataclass
class Run:
    """A training, and what it has shown."""

    index: int
    config: Config
    level: int
    values: list[float] = field(default_factory=list)
    """After each level."""
    stopped: bool = False
    """Whether its method ended it early."""


class Stepper:
    """A way to spend training time on a space; more is better.

    Args:
        space: What is searched.
        budget: Whole trainings' worth of time.
        seed: Of all draws.
    """

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        self.space, self.budget, self.seed = space, budget, seed
        self.runs: dict[int, Run] = {}
        """All that began, by index."""

    def ask(self, index: int, room: int) -> Job | None:
        """Say what to train next.

        Args:
            index: The number of a new run.
            room: Levels that are neither trained nor promised to runs under way.

        Returns:
            A job; None to wait until a run has ended, or where there is nothing left to train.
        """
        raise NotImplementedError

    def begin(self, run: Run) -> None:
        """Take note of a run that begins."""
        self.runs[run.index] = run

    def watch(self, run: Run) -> bool:
        """Take note of a run that reached a level below its last; return whether it goes on."""
        del run
        return True

    def settle(self, run: Run) -> None:
        """Take note of a run that reached its last level, or was stopped."""

    def recommend(self) -> tuple[Config, float]:
        """Return the config that the method stands for, and the value that it reports: the best of the whole runs.

        Where none is whole, it is the best of the longest.
        """
        longest = max(len(run.values) for run in self.runs.values())
        best = max((run for run in self.runs.values() if len(run.values) == longest), key=lambda run: run.values[-1])
        return best.config, best.values[-1]


class ReplicatingStepper(Stepper):
    """A method whose last share of the budget trains its best whole runs' configs again, in turns."""

    def __init__(self, inner: Stepper) -> None:
        super().__init__(inner.space, inner.budget, inner.seed)
        self._inner = inner
        self._kept = LEVELS * count_finalists(inner.budget)
        self._top: list[Config] = []
        self._raced: dict[int, Run] = {}

    def ask(self, index: int, room: int) -> Job | None:
        """Ask the inner method as long as it leaves what the race takes, and the contenders then."""
        if not self._top:
            if room >= self._kept + LEVELS:
                return self._inner.ask(index, room - self._kept)
            whole = [run for run in self.runs.values() if len(run.values) == LEVELS]
            best = {key_of(run.config): run.config for run in sorted(whole, key=lambda run: -run.values[-1])}
            self._top = list(best.values())[:CONTENDERS]
        return Job(self._top[len(self._raced) % len(self._top)]) if self._top and self._kept else None

    def begin(self, run: Run) -> None:
        """Tell the inner method of its own runs."""
        super().begin(run)
        if self._top:
            self._raced[run.index] = run
        else:
            self._inner.begin(run)

    def watch(self, run: Run) -> bool:
        """Let the inner method watch its own runs."""
        return run.index in self._raced or self._inner.watch(run)

    def settle(self, run: Run) -> None:
        """Tell the inner method of its own runs."""
        if run.index not in self._raced:
            self._inner.settle(run)

    def recommend(self) -> tuple[Config, float]:
        """Return the contender with the best mean of its whole runs; without any, what the inner method does."""
        if not self._top:
            return self._inner.recommend()
        whole = [run for run in self.runs.values() if len(run.values) == LEVELS]
        means = [float(np.mean([run.values[-1] for run in whole if run.config == config])) for config in self._top]
        best = int(np.argmax(means))
        return self._top[best], means[best]


class Floor:
    """The workers, whose clock goes from one level of a run to the next.

    Args:
        method: Who is asked.
        table: The task.
        levels: The whole budget.
        workers: Trainings at once.
        seed: Of the durations and the values.
    """

    def __init__(self, method: Stepper, table: Table, levels: int, workers: int, seed: int) -> None:
        self.clock, self.busy, self.paid = 0.0, 0.0, 0
        self.asked: list[float] = []
        """Processor seconds of each question."""
        self.runs: list[Run] = []
        self._method, self._table, self._curves = method, table, Curves(table)
        self._room, self._workers, self._seed = levels, workers, seed
        self._hidden: list[Matrix] = []
        self._paces: list[float] = []
        self._events: list[tuple[float, int]] = []
        self._unpaid: Job | None = None

    def work(self) -> None:
        """Train until nothing more can be paid, or is asked for."""
        while True:
            while len(self._events) < self._workers and self._begin_one():
                pass
            if not self._events:
                return
            self.clock, index = heapq.heappop(self._events)
            self._advance(self.runs[index])

    def _begin_one(self) -> bool:
        if self._unpaid is None:
            start = time.process_time()
            self._unpaid = self._method.ask(len(self.runs), self._room)
            if self._unpaid is None:
                return False
            self.asked.append(time.process_time() - start)
        job = self._unpaid
        cost = job.level - (0 if job.resumed is None else len(self.runs[job.resumed].values))
        if cost > self._room:
            return False  # until a stopped run leaves enough, if one does
        self._unpaid, self._room = None, self._room - cost
        if job.resumed is None:
            run = self._make(job)
            self._method.begin(run)
        else:
            run = self.runs[job.resumed]
            run.level, run.stopped = job.level, False
        heapq.heappush(self._events, (self.clock + self._paces[run.index], run.index))
        return True

    def _make(self, job: Job) -> Run:
        # Every run has draws of its own, so that methods that ask the same are answered the same.
        random = np.random.default_rng([self._seed, 1, len(self.runs)])
        self._paces.append(float(random.lognormal(0.0, 0.25)) / LEVELS)
        self._hidden.append(self._curves.draw(job.config, self._table.draw(job.config, random), random))
        self.runs.append(Run(len(self.runs), job.config, job.level))
        return self.runs[-1]

    def _advance(self, run: Run) -> None:
        pace = self._paces[run.index]
        self.busy, self.paid = self.busy + pace, self.paid + 1
        run.values.append(float(self._hidden[run.index][len(run.values)]))
        if len(run.values) < run.level:
            if self._method.watch(run):
                heapq.heappush(self._events, (self.clock + pace, run.index))
                return
            run.stopped = True
            self._room += run.level - len(run.values)
        self._method.settle(run)


def simulate_seconds(method: Stepper, name: str, table: Table, budget: int, repeat: int, workers: int) -> Cell:
    """One sweep of a method that trains by levels.

    Args:
        method: It.
        name: Its id.
        table: The task.
        budget: Whole trainings' worth of time.
        repeat: Number of the repeat, which seeds everything.
        workers: Trainings at once.

    Returns:
        The finished cell.

    Raises:
        TableError: The table has no curves.
    """
    floor = Floor(method, table, budget * LEVELS, workers, repeat * 1000 + budget)
    floor.work()
    config, reported = method.recommend()
    longest = max(len(run.values) for run in floor.runs)
    seen = max((run for run in floor.runs if len(run.values) == longest), key=lambda run: run.values[-1])
    return {
        "method": name,
        "table": table.name,
        "budget": budget,
        "repeat": repeat,
        "regret": table.rate(config),
        "regret_seen": table.rate(seen.config),
        "reported": reported,
        "true": table.measure(config),
        "suggest_s": float(np.median(floor.asked)),
        "makespan": floor.clock / (floor.busy / workers),
        "runs": len(floor.runs),
        "whole": sum(len(run.values) == LEVELS for run in floor.runs),
        "paid": floor.paid / LEVELS,
    }
