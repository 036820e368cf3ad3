"""Bayesian optimization: which configs are worth training next, given all runs so far and those under way."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Evaluation, Goal
from multistage.domain.space.search_space import SearchSpace
from multistage.search.contenders import Joint, Prediction
from multistage.search.encoding import Encoder, Matrix
from multistage.search.ensemble import Ensemble, Member, group
from multistage.search.noise_shape import measure_misses
from multistage.search.sobol import Key, draw_points, key_of, sample_sobol
from multistage.search.surrogate import Posterior, Surrogate, Vector
from multistage.search.targets import Targets

CANDIDATES = 512
"""Sobol points at which the improvement is measured before it is refined."""
SMALL_SPACE = 512
"""Finite boxes up to this size are looked through whole."""
REFINEMENTS = (0.1, 0.03, 0.01)
"""Shares of the box within which the best candidates are improved, round by round."""
GROWTH = 1.1
"""The hyperparameters are fitted again whenever the evidence has grown by this factor."""
MOST_ROWS = 600
"""Runs that the process is conditioned on: the best ones and the latest, where there are more."""


class Estimate(Model):
    """What is believed of a config's true value, in the metric's own units."""

    mean: float
    std: float
    """Standard deviation of the belief, without the noise of a single run."""


class GaussianProcessSearch:
    """Suggests configs by expected improvement, and estimates their true values.

    Every answer is a function of its arguments; between calls it merely keeps the fitted hyperparameters,
    which cost most.

    Args:
        first: The space that the user asked for, on whose scales the model lives.
        goal: Whether more is better.
        seed: Of all draws.
    """

    def __init__(self, first: SearchSpace, goal: Goal, seed: int) -> None:
        self._first = first
        self._goal: Goal = goal
        self._seed = seed
        self._encoder = Encoder(first)
        self._fitted: dict[int, Vector] = {}
        self._members: dict[int, list[Member]] = {}
        self._predicted: tuple[tuple[list[Evaluation], list[Config]], Prediction] | None = None

    def propose(
        self, box: SearchSpace, evaluations: Sequence[Evaluation], pending: Sequence[Config], count: int
    ) -> list[Config]:
        """Configs to train next.

        Each maximizes the expected improvement over the best believed true value. Those under way, and those
        already chosen, enter as if they had come out as believed, which takes the worth from their
        surroundings.

        Args:
            box: The ranges in which to look; within the first space.
            evaluations: All used slots of all stages.
            pending: Configs that are queued or running.
            count: How many to suggest.

        Returns:
            Exactly ``count`` configs, none twice, none pending and none tried, as long as the box has so many; then
            the tried ones again.
        """
        with _use_one_thread():
            return self._propose(box, evaluations, pending, count)

    def _propose(
        self, box: SearchSpace, evaluations: Sequence[Evaluation], pending: Sequence[Config], count: int
    ) -> list[Config]:
        targets = Targets(evaluations, self._goal)
        seed = self._derive_seed(len(evaluations), len(pending))
        if not targets.known:
            return sample_sobol(box, count, seed, [evaluation.config for evaluation in evaluations], pending)
        rows = self._encoder.encode([evaluation.config for evaluation in evaluations])
        surrogate = self._fit(rows, targets.values)
        kept = choose_rows(targets.values)
        rows, values = rows[kept], targets.values[kept]
        taken = {key_of(config) for config in pending}
        tried = {key_of(evaluation.config) for evaluation in evaluations}
        points = self._draw_candidates(box, seed)
        random = np.random.default_rng(seed)
        chosen: list[Config] = []
        posterior = surrogate.condition(rows, values).believe(self._encoder.encode(pending))
        for _ in range(count):
            config = self._search(box, posterior, points, (taken | tried, taken), random)
            chosen.append(config)
            taken.add(key_of(config))
            posterior = posterior.believe(self._encoder.encode([config]))
        return chosen

    def estimate(self, evaluations: Sequence[Evaluation], candidates: Sequence[Config]) -> list[Estimate]:
        """What is believed of the configs' true values; NaN where no run has a value."""
        targets = Targets(evaluations, self._goal)
        if not targets.known:
            return [Estimate(mean=math.nan, std=math.nan) for _ in candidates]
        rows = self._encoder.encode([evaluation.config for evaluation in evaluations])
        with _use_one_thread():
            surrogate = self._fit(rows, targets.values)
            kept = choose_rows(targets.values)
            posterior = surrogate.condition(rows[kept], targets.values[kept])
            means, deviations = posterior.predict(self._encoder.encode(candidates))
        return [
            Estimate(mean=float(mean), std=float(deviation))
            for mean, deviation in zip(targets.restore(means), targets.restore_spread(deviations), strict=True)
        ]

    def predict(self, evaluations: Sequence[Evaluation], candidates: Sequence[Config]) -> Prediction:
        """What an ensemble of processes believes of the configs' true values and of their noise.

        Args:
            evaluations: Used slots; at least one of them with a value.
            candidates: The configs.
        """
        asked = list(evaluations), list(candidates)
        if self._predicted is None or self._predicted[0] != asked:
            self._predicted = asked, self._predict(evaluations, candidates)
        return self._predicted[1]

    def _predict(self, evaluations: Sequence[Evaluation], candidates: Sequence[Config]) -> Prediction:
        targets = Targets(evaluations, self._goal)
        rows = self._encoder.encode([evaluation.config for evaluation in evaluations])
        at = self._encoder.encode(candidates)
        size, random = _round_down(len(rows)), np.random.default_rng(self._derive_seed(len(rows)))
        with _use_one_thread():
            ensemble = Ensemble(self._encoder.width, self._fit(rows, targets.values).hyperparameters)
            if size not in self._members:
                self._members[size] = ensemble.draw(group(rows[:size], targets.values[:size]), random)
            kept = choose_rows(targets.values)
            groups = group(rows[kept], targets.values[kept])
            joint = Joint(ensemble.believe(self._members[size], groups, at))
            misses = measure_misses(ensemble, self._members[size], groups)
        return Prediction(targets, joint, misses, self._derive_seed(len(rows), 1))

    def _fit(self, rows: Matrix, values: Vector) -> Surrogate:
        size = _round_down(len(values))
        if size not in self._fitted:
            self._fitted[size] = Surrogate(self._encoder.width).fit(rows[:size], values[:size])
        return Surrogate(self._encoder.width, self._fitted[size])

    def _draw_candidates(self, box: SearchSpace, seed: int) -> Matrix:
        if box.size is not None and box.size <= SMALL_SPACE:
            return np.array([box.to_unit(config) for config in box.list_configs()])
        return draw_points(len(box), CANDIDATES, seed)

    def _search(
        self,
        box: SearchSpace,
        posterior: Posterior,
        points: Matrix,
        avoided: Sequence[set[Key]],
        random: np.random.Generator,
    ) -> Config:
        worth = _measure(posterior, self._encoder.place(box, points))
        for radius in REFINEMENTS:
            leaders = points[np.argsort(-worth, kind="stable")[:5]]
            nearby = np.repeat(leaders, 20, axis=0)
            moved = random.random(nearby.shape) < max(0.3, 2 / nearby.shape[1])
            steps = random.normal(0.0, radius, nearby.shape) * moved
            jumps = moved & self._mark_choices(box) & (random.random(nearby.shape) < radius)
            nearby = np.where(jumps, random.random(nearby.shape), np.clip(nearby + steps, 0.0, 1.0))
            points = np.vstack([points, nearby])
            worth = np.concatenate([worth, _measure(posterior, self._encoder.place(box, nearby))])
        order = np.argsort(-worth, kind="stable")
        for keys in avoided:
            for index in order:
                config = box.from_unit(points[index])
                if key_of(config) not in keys:
                    return config
        return box.from_unit(points[order[0]])

    def _mark_choices(self, box: SearchSpace) -> NDArray[np.bool_]:
        return np.array([parameter.kind == "categorical" for parameter in box.parameters])

    def _derive_seed(self, *numbers: int) -> int:
        return int(np.random.SeedSequence([abs(self._seed), *numbers]).generate_state(1)[0])


def propose(
    box: SearchSpace,
    first: SearchSpace,
    evaluations: Sequence[Evaluation],
    pending: Sequence[Config],
    count: int,
    goal: Goal,
    seed: int,
) -> list[Config]:
    """`GaussianProcessSearch.propose` for a single question; ask an object of it where there are many."""
    return GaussianProcessSearch(first, goal, seed).propose(box, evaluations, pending, count)


def estimate(
    first: SearchSpace, evaluations: Sequence[Evaluation], goal: Goal, candidates: Sequence[Config], seed: int = 0
) -> list[Estimate]:
    """`GaussianProcessSearch.estimate` for a single question."""
    return GaussianProcessSearch(first, goal, seed).estimate(evaluations, candidates)


def _measure(posterior: Posterior, rows: Matrix) -> Vector:
    """The logarithm of the expected improvement over the best believed, exact far into the tail.

    Source: Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian Optimization", 2023.
    """
    mean, deviation = posterior.predict(rows)
    z = (mean - posterior.best) / deviation
    near = np.maximum(z, -1.0)
    density = np.exp(-0.5 * near**2) / math.sqrt(2 * math.pi)
    direct = np.log(density + near * np.exp(log_ndtr(near)))
    far = np.clip(z, -1e5, -1.0)
    mills = math.sqrt(math.pi / 2) * erfcx(-far / math.sqrt(2))
    left = np.where(far > -1e3, np.maximum(1.0 + far * mills, 1e-300), 1.0 / far**2)
    tail = -0.5 * np.minimum(z, -1.0) ** 2 - 0.5 * math.log(2 * math.pi) + np.log(left)
    return np.log(deviation) + np.where(z > -1.0, direct, tail)


def _use_one_thread() -> AbstractContextManager[None]:
    """Keep linear algebra off the cores that train; matrices this small gain nothing from more threads."""
    return _find_thread_pools().limit(limits=1)  # type: ignore[no-any-return]


@cache
def _find_thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


def _round_down(count: int) -> int:
    """The greatest size up to ``count`` of 1, 2, 3, ..., each at least a tenth above the last."""
    size = 1
    while (following := max(size + 1, math.ceil(size * GROWTH))) <= count:
        size = following
    return size


def choose_rows(values: Vector) -> NDArray[np.int_]:
    """The places of the rows that the process is conditioned on: all, or the latest and the best of the others."""
    if len(values) <= MOST_ROWS:
        return np.arange(len(values))
    latest = np.arange(len(values) - MOST_ROWS // 2, len(values))
    older = np.argsort(-values[: len(values) - MOST_ROWS // 2], kind="stable")[: MOST_ROWS // 2]
    return np.sort(np.concatenate([older, latest]))
