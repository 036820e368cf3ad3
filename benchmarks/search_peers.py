"""The methods that the search benchmark compares: the product's own, and what a user would take instead.

A peer's package is imported where it is used; `make bench-env` brings them all.
"""

# ruff: noqa: D102 - `Method` and `Peer` say what `ask`, `suggest` and `recommend` are for
# mypy: disable-error-code="import-not-found,unused-ignore"

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from multistage.domain.budget import Split, count_finalists, split_budget
from multistage.domain.parameters import CategoricalParameter, FloatParameter, IntParameter, PowerOfTwoParameter
from multistage.domain.results import Config, Evaluation
from multistage.domain.selection import rank, select_top
from multistage.domain.space import SearchSpace
from multistage.search.multistage import Proposal, StagedSearch
from multistage.search.sobol import key_of

CONTENDERS = 5
"""Configs that a replicating peer trains again, in turns."""


class Method(Protocol):
    """A way to spend a budget of runs on a space; more is better."""

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        """The config of the slot ``index``; None to wait until a pending run has ended."""

    def recommend(self, done: Sequence[Evaluation]) -> tuple[Config, float]:
        """The config that the method stands for, and the value that it reports for it."""


class Multistage:
    """The product's own search, driven as the flow drives it: a stage begins when the one before has ended."""

    def __init__(self, space: SearchSpace, budget: int, seed: int, finalists: int | None = None) -> None:
        self._budgets = split_budget(budget, Split())
        count = min(count_finalists(budget) if finalists is None else finalists, self._budgets[2])
        self._search = StagedSearch(space, "maximize", self._budgets, count, seed=seed)
        self._planned = self._search.plan_stage1()
        self._box, self._stage = space, 1

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        first, second, _ = self._budgets
        if index < first:
            return Proposal(config=self._planned[index])
        stage, start = (2, first) if index < first + second else (3, first + second)
        if stage > self._stage:
            if pending:
                return None
            self._box = self._search.narrow(stage, done, self._box).space  # type: ignore[arg-type]
            self._stage = stage
        open_slots = [proposal for slot, proposal in pending.items() if slot >= start]
        found = self._search.propose(stage, self._box, done, open_slots, index - start, 1)  # type: ignore[arg-type]
        return found[0] if found else None

    def recommend(self, done: Sequence[Evaluation]) -> tuple[Config, float]:
        found = self._search.recommend(done)
        assert found is not None
        return found.config, found.mean

    def find_stage(self, index: int) -> int:
        """The stage of a slot."""
        return 1 if index < self._budgets[0] else 2 if index < sum(self._budgets[:2]) else 3


class Peer:
    """A peer that proposes one config at a time and stands for the best mean of what it saw."""

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        self.space, self.budget, self.seed = space, budget, seed
        self.random = np.random.default_rng(seed)

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        config = self.suggest(index, done, pending)
        return None if config is None else Proposal(config=config)

    def suggest(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Config | None:
        """The next config; chance, in the base."""
        del index, done, pending
        return self.space.from_unit(self.random.random(len(self.space)))

    def recommend(self, done: Sequence[Evaluation]) -> tuple[Config, float]:
        best = rank(done, "maximize")[0]
        assert best.value is not None
        return best.config, best.value


class Original(Peer):
    """The script that this project replaces: a grid, then two boxes of linear mean and deviation, each on its own.

    The grid is cut where the stage's budget ends; where it is smaller, the rest goes to the next stage. Each later
    stage starts W&B's engine anew. Stage 3 takes 4 deviations, as its source did.
    """

    shuffled = False

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        super().__init__(space, budget, seed)
        first, second, _ = split_budget(budget, Split())
        linear = SearchSpace(parameters=tuple(map(_flatten, space.parameters)))
        size = linear.grid_size(5)
        order = self.random.permutation(size) if self.shuffled else np.arange(size)
        self._grid = [_pick(linear, int(place)) for place in order[:first]]
        self._ends = len(self._grid), first + second
        self._space, self._engine, self._start = linear, Wandb(linear, budget, seed), 0

    def suggest(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Config | None:
        if index < self._ends[0]:
            return _fit(self.space, self._grid[index])
        start = self._ends[0] if index < self._ends[1] else self._ends[1]
        if start > self._start:
            if pending:
                return None
            self._narrow([run for run in done if run.index >= self._start], 2.0 if start == self._ends[0] else 4.0)
            self._start = start
        seen = [run for run in done if run.index >= self._start]
        found = self._engine.suggest(index, seen, {k: v for k, v in pending.items() if k >= self._start})
        return None if found is None else _fit(self.space, found)

    def _narrow(self, runs: Sequence[Evaluation], width: float) -> None:
        top = select_top(runs, "maximize")
        parameters = []
        for parameter, first in zip(map(_flatten, self.space.parameters), self._space.parameters, strict=True):
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
        self._distributions = {parameter.name: _distribute(parameter) for parameter in space.parameters}

    def suggest(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Config | None:
        del pending
        for run in done:
            if run.index in self._open:
                self._study.tell(self._open.pop(run.index), run.value)
        asked = self._study.ask(self._distributions)
        self._open[index] = asked
        return _fit(
            self.space,
            {
                name: 2**value if isinstance(self.space[name], PowerOfTwoParameter) else value
                for name, value in asked.params.items()
            },
        )


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


class Replicating:
    """A peer whose last runs train its best configs again, in turns; it stands for the best mean."""

    def __init__(self, inner: Peer, budget: int) -> None:
        self._inner, self._from = inner, budget - count_finalists(budget)
        self._top: list[Config] = []

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        if index < self._from:
            return self._inner.ask(index, done, pending)
        if not self._top:
            best = {key_of(run.config): run.config for run in rank(done, "maximize")}
            self._top = list(best.values())[:CONTENDERS]
        return Proposal(config=self._top[(index - self._from) % len(self._top)], finalist=True)

    def recommend(self, done: Sequence[Evaluation]) -> tuple[Config, float]:
        if not self._top:
            return self._inner.recommend(done)
        means = []
        for config in self._top:
            values = [run.value for run in done if run.config == config and run.value is not None]
            means.append(float(np.mean(values)))
        best = int(np.argmax(means))
        return self._top[best], means[best]


PEERS: Mapping[str, Callable[[SearchSpace, int, int], Peer]] = {
    "random": Peer,
    "original": Original,
    "original-shuffled": OriginalShuffled,
    "wandb-bayes": Wandb,
    "tpe": Optuna,
    "optuna-gp": OptunaProcess,
    "cma": Evolution,
}
SLOW = ("optuna-gp",)
"""Peers of over 0.2 s a suggestion, which are run up to 150 runs only."""


def make_method(name: str, space: SearchSpace, budget: int, seed: int) -> Method:
    """A method by its id: ``multistage``, a peer, or a peer with ``+rep``."""
    if name == "multistage":
        return Multistage(space, budget, seed)
    peer = PEERS[name.removesuffix("+rep")](space, budget, seed)
    return Replicating(peer, budget) if name.endswith("+rep") else peer


def _flatten(parameter: Any) -> Any:
    if isinstance(parameter, CategoricalParameter):
        return parameter
    return FloatParameter(name=parameter.name, low=parameter.low, high=parameter.high)


def _pick(space: SearchSpace, place: int) -> Config:
    """The grid's config at a place, without listing a grid that may be huge."""
    config: Config = {}
    for parameter in reversed(space.parameters):
        values = parameter.grid(5)
        place, index = divmod(place, len(values))
        config[parameter.name] = values[index]
    return {name: config[name] for name in space.names}


def _fit(space: SearchSpace, config: Config) -> Config:
    """The nearest possible config."""
    return space.from_unit(space.to_unit({name: _raise(space, name, config[name]) for name in space.names}))


def _raise(space: SearchSpace, name: str, value: Any) -> Any:
    parameter = space[name]
    if isinstance(parameter, CategoricalParameter):
        return value
    return min(max(float(value), parameter.low), parameter.high)


def _distribute(parameter: Any) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, FloatParameter):
        return FloatDistribution(parameter.low, parameter.high, log=parameter.scale == "log")
    if isinstance(parameter, IntParameter):
        return IntDistribution(parameter.low, parameter.high, log=parameter.scale == "log")
    if isinstance(parameter, PowerOfTwoParameter):
        return IntDistribution(int(math.log2(parameter.low)), int(math.log2(parameter.high)))
    return CategoricalDistribution(parameter.choices)
