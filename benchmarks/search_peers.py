"""The peers of the search benchmark: what a user would take instead.

A peer's package is imported where it is used; `make bench-env` brings them all.
"""

# ruff: noqa: D102 - `Method` and `Peer` say what `ask`, `suggest` and `recommend` are for
# mypy: disable-error-code="import-not-found,unused-ignore"

import math
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from build_prior import learn_from_others
from search_methods import Method, Multistage, Peer, Recorded, Replicating
from search_translations import (
    fit_config,
    flatten,
    pick_grid_config,
    raise_exponents,
    read_labels,
    to_hebo,
    to_optuna,
    to_smac,
)

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.runs.selection import select_top
from multistage.domain.space.parameters import CategoricalParameter, FloatParameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.budget import Split, split_budget
from multistage.domain.sweep.plan import OWN_SEARCH
from multistage.search.base import Proposal


class Original(Peer):
    """The script that this project replaces: a grid, then two boxes of linear mean and deviation, each on its own.

    The grid is cut where the stage's budget ends; where it is smaller, the rest goes to the next stage. Each later
    stage starts W&B's engine anew. Stage 3 takes 4 deviations, as its source did.
    """

    shuffled = False

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        super().__init__(space, budget, seed)
        first, second, _ = split_budget(budget, Split())
        linear = SearchSpace(parameters=tuple(map(flatten, space.parameters)))
        size = linear.grid_size(5)
        order = self.random.permutation(size) if self.shuffled else np.arange(size)
        self._grid = [pick_grid_config(linear, int(place)) for place in order[:first]]
        self._ends = len(self._grid), first + second
        self._space, self._engine, self._start = linear, Wandb(linear, budget, seed), 0

    def suggest(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Config | None:
        if index < self._ends[0]:
            return fit_config(self.space, self._grid[index])
        start = self._ends[0] if index < self._ends[1] else self._ends[1]
        if start > self._start:
            if pending:
                return None
            self._narrow([run for run in done if run.index >= self._start], 2.0 if start == self._ends[0] else 4.0)
            self._start = start
        seen = [run for run in done if run.index >= self._start]
        found = self._engine.suggest(index, seen, {k: v for k, v in pending.items() if k >= self._start})
        return None if found is None else fit_config(self.space, found)

    def _narrow(self, runs: Sequence[Evaluation], width: float) -> None:
        top = select_top(runs, "maximize")
        parameters = []
        for parameter, first in zip(map(flatten, self.space.parameters), self._space.parameters, strict=True):
            if isinstance(parameter, CategoricalParameter) or isinstance(first, CategoricalParameter):
                parameters.append(parameter)
                continue
            values = np.array([float(run.config[parameter.name]) for run in top])
            low = max(parameter.low, float(values.mean() - width * values.std()))
            high = min(parameter.high, float(values.mean() + width * values.std()))
            parameters.append(FloatParameter(name=parameter.name, low=low, high=max(low, high)))
        self._space = SearchSpace(parameters=tuple(parameters))
        self._engine = Wandb(self._space, self.budget, self.seed + 1)


class OriginalShuffled(Original):
    """The same with the grid in a random order."""

    shuffled = True


class Wandb(Peer):
    """W&B's own Bayesian engine, the function that its service calls (package `sweeps`)."""

    def suggest(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Config | None:
        from sweeps.bayes_search import next_sample

        del index
        seen = [run for run in done if run.value is not None and math.isfinite(run.value)]
        if not seen:
            return super().suggest(0, done, pending)
        np.random.seed(int(self.random.integers(2**31)))  # the engine draws from the global state
        rows = np.array([self.space.to_unit(run.config) for run in seen])
        under_way = np.array([self.space.to_unit(p.config) for p in pending.values()])
        point, *_ = next_sample(
            sample_X=rows,
            sample_y=np.array([-(run.value or 0.0) for run in seen]),
            X_bounds=[[0.0, 1.0]] * len(self.space),
            current_X=under_way if len(under_way) else None,
        )
        return self.space.from_unit(np.nan_to_num(np.asarray(point, dtype=float), nan=0.5))


class Optuna(Peer):
    """Optuna's study with one of its samplers."""

    def make_sampler(self) -> Any:
        """The sampler; the multivariate TPE in the base, told of pending runs as parallel use needs."""
        import optuna

        return optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=self.seed)

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        import optuna

        super().__init__(space, budget, seed)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(direction="maximize", sampler=self.make_sampler())
        self._open: dict[int, Any] = {}
        self._distributions = {parameter.name: to_optuna(parameter) for parameter in space.parameters}

    def suggest(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Config | None:
        del pending
        for run in done:
            if run.index in self._open:
                self._study.tell(self._open.pop(run.index), run.value)
        asked = self._study.ask(self._distributions)
        self._open[index] = asked
        return fit_config(self.space, raise_exponents(self.space, asked.params))


class OptunaProcess(Optuna):
    """Optuna's own Gaussian process."""

    def make_sampler(self) -> Any:
        import optuna

        return optuna.samplers.GPSampler(seed=self.seed, deterministic_objective=False)


class Evolution(Peer):
    """CMA-ES in the unit cube; an asynchronous worker takes the next member of the generation."""

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        from cmaes import CMA

        super().__init__(space, budget, seed)
        bounds = np.array([[0.0, 1.0]] * max(2, len(space)))
        self._strategy = CMA(mean=np.full(len(bounds), 0.5), sigma=0.3, bounds=bounds, seed=seed)
        self._open: dict[int, Any] = {}
        self._ended: list[tuple[Any, float]] = []

    def suggest(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Config | None:
        del pending
        for run in done:
            if run.index in self._open:
                self._ended.append((self._open.pop(run.index), -(run.value or 0.0)))
        if len(self._ended) >= self._strategy.population_size:
            self._strategy.tell(self._ended[: self._strategy.population_size])
            del self._ended[: self._strategy.population_size]
        point = self._strategy.ask()
        self._open[index] = point
        return self.space.from_unit(point[: len(self.space)])


class Smac(Peer):
    """SMAC3's facade for hyperparameters, told that trainings are noisy: it repeats its incumbents by itself."""

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        from smac import HyperparameterOptimizationFacade, Scenario

        super().__init__(space, budget, seed)
        self._folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            to_smac(space),
            deterministic=False,
            n_trials=budget,
            seed=seed,
            output_directory=Path(self._folder.name),
        )
        self._smac = HyperparameterOptimizationFacade(scenario, _refuse, overwrite=True, logging_level=False)
        self._open: dict[int, Any] = {}

    def suggest(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Config | None:
        from smac.runhistory import TrialValue

        del pending
        for run in done:
            if run.index in self._open:
                self._smac.tell(self._open.pop(run.index), TrialValue(cost=-(run.value or 0.0)), save=False)
        self._open[index] = asked = self._smac.ask()
        return fit_config(self.space, raise_exponents(self.space, dict(asked.config)))

    def recommend(self, done: Sequence[Evaluation]) -> tuple[Config, float]:
        """The incumbent, and the mean of its runs."""
        incumbent = self._smac.intensifier.get_incumbent()
        config = fit_config(self.space, raise_exponents(self.space, dict(incumbent)))
        values = [run.value for run in done if run.config == config and run.value is not None]
        return config, float(np.mean(values))


class Hebo(Peer):
    """HEBO: a Gaussian process on warped inputs and outputs, and three acquisitions at once."""

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        import torch
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO

        super().__init__(space, budget, seed)
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self._hebo = HEBO(DesignSpace().parse([to_hebo(p) for p in space.parameters]), scramble_seed=seed)
        self._open: dict[int, Any] = {}

    def suggest(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Config | None:
        del pending
        np.random.seed(int(self.random.integers(2**31)))  # pymoo draws from the global state
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for run in done:
                if run.index in self._open:
                    self._hebo.observe(self._open.pop(run.index), np.array([[-(run.value or 0.0)]]))
            self._open[index] = asked = self._hebo.suggest(n_suggestions=1)
        values = {name: asked[name].iloc[0] for name in self.space.names}
        return fit_config(self.space, read_labels(self.space, raise_exponents(self.space, values)))


PEERS: Mapping[str, Callable[[SearchSpace, int, int], Peer]] = {
    "random": Peer,
    "original": Original,
    "original-shuffled": OriginalShuffled,
    "wandb-bayes": Wandb,
    "tpe": Optuna,
    "optuna-gp": OptunaProcess,
    "cma": Evolution,
    "smac": Smac,
    "hebo": Hebo,
}
SLOW = ("optuna-gp", "smac", "hebo")
"""Peers of over 0.2 s a suggestion, which are run up to 150 runs only."""


PRIORS = ("", "prior", "misled")
"""What stands behind a plus where the product's own search is told what the other tables of an algorithm teach, or the
reverse of that."""
OVERLAP = "overlap"
"""What stands there where a stage's first runs begin while the one before ends."""


def is_own(name: str) -> bool:
    """Whether a method is the product's own, with whatever searcher and prior."""
    method, _, prior = name.partition("/")[0].partition("+")
    return method == "multistage" and prior in (*PRIORS, OVERLAP)


def make_method(
    name: str,
    space: SearchSpace,
    budget: int,
    seed: int,
    answers: Sequence[Proposal | None] | None = None,
    table: Path | None = None,
    workers: int = 10,
) -> Method:
    """A method by its id: ``multistage``, ``multistage+prior/SEARCH``, a peer, or a peer with ``+rep``.

    Args:
        name: The id.
        space: What is searched.
        budget: Runs in all.
        seed: Of the method's draws.
        answers: What the peer under a ``+rep`` answered when it was asked the same; computed again where None.
        table: The file of the task, beside which those lie that a prior learns from.
        workers: Trainings at once.

    Raises:
        ValueError: There is nothing to learn a prior from.
        KeyError: There is no such method.
        ModuleNotFoundError: Its package is not installed.
    """
    if is_own(name):
        method, _, search = name.partition("/")
        taught = method.partition("+")[2]
        overlaps = taught == OVERLAP
        prior = [learn_from_others(table, misleading=taught == "misled")] if taught and not overlaps and table else []
        return Multistage(
            space, budget, seed, search=search or OWN_SEARCH, prior=prior, overlap=workers if overlaps else None
        )
    if not name.endswith("+rep"):
        return PEERS[name](space, budget, seed)
    inner = Recorded(answers) if answers else PEERS[name.removesuffix("+rep")](space, budget, seed)
    return Replicating(inner, budget)


def _refuse(config: Any, seed: int = 0) -> float:
    raise NotImplementedError("SMAC is asked and told, and trains nothing itself")
