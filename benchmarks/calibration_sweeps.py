"""Simulated sweeps for the calibration benchmark: their search recorded once, the race and the belief told anew.

A sweep's search costs seconds, and does not depend on the race that follows nor on what is believed at the end. So a
recorded sweep holds what was searched, and every config's noise and true value. Each run's luck is drawn by its place
alone, so that two rules of racing meet the same luck wherever they train the same.
"""

import heapq
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from search_methods import Multistage
from search_tables import Table, list_steps

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.budget import count_finalists
from multistage.search.base import Proposal
from multistage.search.finalists import Recommendation
from multistage.search.sobol import sample_sobol

USUAL = (1, 3, 10, 30, 100)
"""The defaults are the best of so many random configs, in turns: from a stranger's to an expert's."""
Record = dict[str, Any]
"""A recorded sweep, as JSON has it."""
Spreads = dict[str, list[float]]
"""Quantiles of single runs, by config."""


class Luck:
    """What chance gives each run of a sweep: by its slot in the search, by its number among a config's in the race."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def last(self, index: int) -> float:
        """How long a slot's run lasts."""
        return float(np.random.default_rng([self._seed, 1, index]).lognormal(0.0, 0.25))

    def draw(self, spread: Sequence[float], index: int) -> float:
        """The value of a run of the search."""
        return _draw(spread, [self._seed, 2, index])

    def draw_again(self, spread: Sequence[float], config: Config, number: int) -> float:
        """The value of a config's run in the race."""
        return _draw(spread, [self._seed, 3, zlib.crc32(name_config(config).encode()), number])


def _draw(spread: Sequence[float], seeds: Sequence[int]) -> float:
    return float(np.interp(np.random.default_rng(seeds).random(), list_steps(len(spread)), spread))


def name_config(config: Config) -> str:
    """A config as a key of JSON."""
    return json.dumps(config, sort_keys=True)


class Simulation:
    """Asynchronous workers in simulated time, ten of them; a subclass says what runs next and what comes of it."""

    def __init__(self, budget: int, seed: int, workers: int = 10) -> None:
        self.budget, self.luck = budget, Luck(seed)
        self._workers = workers
        self.race_from = budget - count_finalists(budget)

    def run(self, end: int) -> list[Evaluation]:
        """Run the slots before ``end``; what came of them, in the order of their ends."""
        done: list[Evaluation] = []
        pending: dict[int, Proposal] = {}
        ends: list[tuple[float, int]] = []
        clock, index = 0.0, 0
        while len(done) < end:
            while index < end and len(pending) < self._workers:
                proposal = self.ask(index, done, pending)
                if proposal is None:
                    break
                pending[index] = proposal
                heapq.heappush(ends, (clock + self.luck.last(index), index))
                index += 1
            clock, ended = heapq.heappop(ends)
            done.append(self.train(ended, pending.pop(ended)))
        return done

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        """What the slot trains; None to wait for a run to end."""
        raise NotImplementedError

    def train(self, index: int, proposal: Proposal) -> Evaluation:
        """What comes of it."""
        raise NotImplementedError


class Recording(Simulation):
    """A sweep's search on a table, without its race.

    Args:
        table: The task.
        budget: Runs in all.
        repeat: Number of the repeat, which seeds everything.
        quiet: Whether the runs have no noise: each is its config's true value.
    """

    def __init__(self, table: Table, budget: int, repeat: int, quiet: bool) -> None:
        seed = repeat * 1000 + budget
        super().__init__(budget, seed)
        self._table, self._quiet = table, quiet
        self.defaults = self._draw_defaults(seed, USUAL[repeat % len(USUAL)])
        self._method = Multistage(table.space, budget, seed, defaults=self.defaults)
        self.spreads: Spreads = {name_config(self.defaults): self._spread(self.defaults)}

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        """What the product's own search proposes."""
        return self._method.ask(index, done, pending)

    def train(self, index: int, proposal: Proposal) -> Evaluation:
        """One draw of the config's noise."""
        spread = self.spreads.setdefault(name_config(proposal.config), self._spread(proposal.config))
        value = self.luck.draw(spread, index)
        stage = self._method.find_stage(index)
        return Evaluation(stage=stage, index=index, config=proposal.config, outcome="finished", value=value)

    def _spread(self, config: Config) -> list[float]:
        spread = self._table.spread(config)
        return [float(spread.mean())] if self._quiet else [float(value) for value in spread]

    def _draw_defaults(self, seed: int, number: int) -> Config:
        return max(sample_sobol(self._table.space, number, seed + 7), key=self._table.measure)


def record(table: Table, budget: int, repeat: int, quiet: bool = False) -> Record:
    """Search a table, and keep all that the race and the belief need."""
    recording = Recording(table, budget, repeat, quiet)
    done = recording.run(recording.race_from)
    return {
        "table": table.name,
        "quiet": quiet,
        "budget": budget,
        "repeat": repeat,
        "best": table.best,
        "median": table.median,
        "space": table.space.model_dump(mode="json"),
        "defaults": recording.defaults,
        "runs": [[run.index, run.stage, run.config, run.value] for run in done],
        "spreads": recording.spreads,
    }


class Replay(Simulation):
    """A recorded sweep, its race run anew by the product as it is."""

    def __init__(self, recorded: Record) -> None:
        seed = recorded["repeat"] * 1000 + recorded["budget"]
        super().__init__(recorded["budget"], seed)
        self.recorded = recorded
        space = SearchSpace.model_validate(recorded["space"])
        self.method = Multistage(space, self.budget, seed, defaults=recorded["defaults"])
        self._searched = {
            index: Evaluation(stage=stage, index=index, config=config, outcome="finished", value=value)
            for index, stage, config, value in recorded["runs"]
        }
        self._trained: Counter[str] = Counter()

    def believe(self) -> tuple[Recommendation, list[Evaluation]]:
        """What the product recommends at the end, and all runs."""
        done = self.run(self.budget)
        return self.method.believe(done), done

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        """What was recorded, or in the race what the product proposes."""
        if index >= self.race_from:
            return self.method.propose(index, done, pending)
        stage = self._searched[index].stage
        if pending and any(self._searched[slot].stage < stage for slot in pending):
            return None
        return Proposal(config=self._searched[index].config)

    def train(self, index: int, proposal: Proposal) -> Evaluation:
        """What was recorded, or in the race a draw of the config's noise."""
        if index in self._searched:
            return self._searched[index]
        name = name_config(proposal.config)
        self._trained[name] += 1
        value = self.luck.draw_again(self.recorded["spreads"][name], proposal.config, self._trained[name])
        return Evaluation(
            stage=3, index=index, config=proposal.config, outcome="finished", value=value, finalist=True
        )  # fmt: skip
