"""Tasks for the search benchmark: tables of real trainings, made continuous with their own seed noise.

A table is an ``.npz`` with ``X`` (configs x parameters), ``hp`` (their names) and ``Y`` (configs x seeds x training
lengths, configs x seeds, or a value a config); more is better. For each config the seeds' values are sorted into
quantiles, and the mean of an extremely randomized forest and a Gaussian process is fitted to these: a new run of any
config draws from its quantiles, and its true value is their mean. So the noise stays as different from place to place
as it is; with one seed a config there is none.
"""

import math
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import qmc
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel
from sklearn.model_selection import KFold

from multistage.domain.runs.results import Config
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
    is_power_of_two,
)
from multistage.domain.space.search_space import SearchSpace

Matrix = NDArray[np.float64]
TREES = 60
FEWEST = 10
"""Configs that a fit takes at least."""
LARGEST = 1e100
"""Value whose square, and the sum of many, is still a number."""


class TableError(Exception):
    """A table that cannot be made a task, and why."""


class Table:
    """A task: a space, noisy runs, and the truth that no search sees.

    Args:
        path: The table.
    """

    def __init__(self, path: Path) -> None:
        names, columns, curves = _read_table(path)
        values = curves[:, :, -1]
        self.name = path.stem
        self.path = path
        known = np.array([bool(np.isfinite(row).any()) for row in values])
        if known.sum() < FEWEST:
            raise TableError(
                f"{known.sum()} of its configs have a value after the longest training, and a fit takes {FEWEST}"
            )
        self.space = SearchSpace(
            parameters=tuple(infer_parameter(name, column) for name, column in zip(names, columns, strict=True))
        )
        configs = [self._read(row) for row, keep in zip(zip(*columns, strict=True), known, strict=True) if keep]
        rows = np.array([self.space.to_unit(config) for config in configs])
        values = values[known]
        quantiles = np.sort(floor_divergence(values), axis=1)
        if np.ptp(quantiles) == 0:
            raise TableError("all its values are equal")
        if max(-quantiles.min(), quantiles.max()) > LARGEST:
            raise TableError(f"it has values beyond {LARGEST:g}")
        self.fidelity = _validate(rows, quantiles)
        """Cross-validated R2 of the true values: how much of the table the fit explains."""
        self._range = float(quantiles.min()), float(quantiles.max())
        self.rows = rows
        """The configs that were trained, in the unit cube."""
        self.curves = np.stack([_floor_level(curves[known][:, :, level]) for level in range(curves.shape[2])], axis=2)
        """What their runs reached after each length of training, shape (configs, seeds, lengths)."""
        self._forest = _Forest(rows, quantiles)
        self._process = _Process(rows, quantiles)
        self.best, self.median = self._survey(rows)
        if self.best - self.median < 1e-9 * max(1.0, abs(self.best)):
            raise TableError("its best config is no better than a median one")

    def draw(self, config: Config, random: np.random.Generator) -> float:
        """The value of one more run of a config."""
        quantiles = self.spread(config)
        return float(np.interp(random.random(), list_steps(len(quantiles)), quantiles))

    def spread(self, config: Config) -> Matrix:
        """The quantiles that a config's runs are drawn from, at `list_steps`; their mean is its true value."""
        quantiles: Matrix = self._predict(self.space.to_unit(config)[None, :])[0]
        return quantiles

    def measure(self, config: Config) -> float:
        """The mean of a config's runs."""
        return float(self.spread(config).mean())

    def rate(self, config: Config) -> float:
        """Regret: 0 for the best config there is, 1 for the median random one."""
        return (self.best - self.measure(config)) / (self.best - self.median)

    def _read(self, row: Sequence[float | str]) -> Config:
        config: Config = {}
        for parameter, value in zip(self.space.parameters, row, strict=True):
            whole = not isinstance(parameter, FloatParameter) and isinstance(value, float) and value.is_integer()
            config[parameter.name] = int(value) if whole else value
        return config

    def _predict(self, rows: Matrix) -> Matrix:
        mean = 0.5 * (self._forest.predict(rows) + self._process.predict(rows))
        return np.sort(np.clip(mean, *self._range), axis=1)

    def _survey(self, rows: Matrix) -> tuple[float, float]:
        points = self._snap(qmc.Sobol(len(self.space), rng=np.random.default_rng(0)).random_base2(12))
        truth = self._predict(points).mean(axis=1)
        median = float(np.median(truth))
        random = np.random.default_rng(0)
        points, truth = np.vstack([points, rows]), np.append(truth, self._predict(rows).mean(axis=1))
        for radius in (0.2, 0.1, 0.05, 0.02, 0.01) * 4:
            leaders = points[np.argsort(-truth)[:20]]
            moved = np.repeat(leaders, 40, axis=0)
            moved += random.normal(0, radius, moved.shape) * (random.random(moved.shape) < 0.3)
            jump = random.random(moved.shape) < 0.05
            moved = self._snap(np.clip(np.where(jump, random.random(moved.shape), moved), 0, 1))
            points = np.vstack([leaders, moved])
            truth = self._predict(points).mean(axis=1)
        return float(truth.max()), median

    def _snap(self, points: Matrix) -> Matrix:
        return np.array([self.space.to_unit(self.space.from_unit(point)) for point in points])


def list_steps(count: int) -> Matrix:
    """The chances at which as many quantiles lie; a run's value lies between two of them."""
    return (np.arange(count) + 0.5) / count


def _read_table(path: Path) -> tuple[list[str], list[Sequence[float] | Sequence[str]], Matrix]:
    """The parameters' names and columns, and the seeds' curves of each config; without configs that lack values."""
    if not zipfile.is_zipfile(path):
        raise TableError("it is no .npz file")
    with np.load(path, allow_pickle=False) as content:
        missing = {"X", "Y", "hp"} - set(content)
        if missing:
            raise TableError(f"it holds no {', '.join(sorted(missing))}")
        try:
            names = [str(name) for name in content["hp"]]
            settings, returns = np.asarray(content["X"]), np.asarray(content["Y"])
        except ValueError as error:
            raise TableError("it holds Python objects, which are not loaded: numbers or text are") from error
    try:
        values = returns.astype(np.float64)
    except ValueError as error:
        raise TableError("its Y holds words where numbers should be") from error
    if settings.ndim != 2 or settings.shape[1] != len(names) or not names:
        raise TableError(f"its X has the shape {settings.shape}, and hp has {len(names)} names")
    if values.ndim not in (1, 2, 3) or len(values) != len(settings) or not values.size:
        raise TableError(f"its Y has the shape {values.shape}, and X has {len(settings)} configs")
    if twins := [name for name, count in Counter(names).items() if count > 1]:
        raise TableError(f"it has two parameters named {twins[0]!r}")
    # One value a run is a curve of one length, and one value a config is one run.
    values = values if values.ndim == 3 else values.reshape(len(values), -1, 1)
    columns = [_read_column(column) for column in settings.T]
    whole = np.array([all(isinstance(v, str) or math.isfinite(v) for v in row) for row in zip(*columns, strict=True)])
    return names, [_read_column(column[whole]) for column in settings.T], values[whole]


def _read_column(column: NDArray[Any]) -> Sequence[float] | Sequence[str]:
    """Numbers as numbers, even where one column of text made text of all; text as it is."""
    try:
        numbers: list[float] = column.astype(np.float64).tolist()
    except ValueError:
        return [str(value) for value in column]
    return numbers


def infer_parameter(name: str, column: Sequence[float] | Sequence[str]) -> Parameter:
    """A parameter's kind, scale and bounds, from a column of a random or Sobol sample of it."""
    if isinstance(column[0], str):
        return CategoricalParameter(name=name, choices=tuple(sorted(set(column))))
    values = np.asarray(column, dtype=np.float64)
    distinct = np.unique(values)
    low, high = float(distinct[0]), float(distinct[-1])
    whole = bool(np.all(distinct == np.round(distinct)))
    if len(distinct) <= 2:
        return CategoricalParameter(name=name, choices=tuple(int(v) if whole else float(v) for v in distinct))
    if whole and all(is_power_of_two(value) for value in distinct.tolist()):
        return PowerOfTwoParameter(name=name, low=int(low), high=int(high))
    spread = float(np.quantile(values, 0.75) - np.quantile(values, 0.25)) / (high - low)
    log = low > 0 and high / low > 20 and spread < 0.3
    if whole:
        return IntParameter(name=name, low=int(low), high=int(high), scale="log" if log else "linear")
    return FloatParameter(name=name, low=low, high=high, scale="log" if log else "linear")


def floor_divergence(values: Matrix) -> Matrix:
    """Missing and diverged runs, moved to a floor that the rest of the table tells.

    The floor lies as far below the median as the best lies above it, or at the twentieth percentile where that is of
    the same order: a tail that long is how the task is, and no divergence.
    """
    finite = values[np.isfinite(values)]
    median, best, low = float(np.median(finite)), float(finite.max()), float(np.quantile(finite, 0.05))
    reach = best - median
    floor = min(median - reach, low) if low > median - 10 * reach else median - reach
    return np.maximum(np.where(np.isfinite(values), values, floor), floor)


def _floor_level(values: Matrix) -> Matrix:
    """The same for one length, at which there may be no value at all."""
    return floor_divergence(values) if np.isfinite(values).any() else np.zeros_like(values)


class _Forest:
    """An extremely randomized forest whose trees are walked at once, which a single row makes thirty times faster."""

    def __init__(self, rows: Matrix, targets: Matrix) -> None:
        forest = ExtraTreesRegressor(TREES, min_samples_leaf=2, random_state=0).fit(
            rows, targets if targets.shape[1] > 1 else targets.ravel()
        )
        trees = [member.tree_ for member in forest.estimators_]
        size = max(tree.node_count for tree in trees)
        self._left = np.zeros((TREES, size), dtype=np.int64)
        self._right, self._feature = self._left.copy(), self._left.copy()
        self._threshold = np.full((TREES, size), math.inf)
        self._values = np.zeros((TREES, size, targets.shape[1]))
        for index, tree in enumerate(trees):
            inner = tree.children_left >= 0
            nodes = np.arange(tree.node_count)
            # A leaf leads to itself, so that all trees can be walked to the depth of the deepest.
            self._left[index, : tree.node_count] = np.where(inner, tree.children_left, nodes)
            self._right[index, : tree.node_count] = np.where(inner, tree.children_right, nodes)
            self._feature[index, : tree.node_count] = np.where(inner, tree.feature, 0)
            self._threshold[index, : tree.node_count] = np.where(inner, tree.threshold, math.inf)
            self._values[index, : tree.node_count] = tree.value[:, :, 0]
        self._depth = max(tree.max_depth for tree in trees)

    def predict(self, rows: Matrix) -> Matrix:
        trees = np.arange(TREES)[None, :]
        nodes = np.zeros((len(rows), TREES), dtype=np.int64)
        for _ in range(self._depth):
            at = np.take_along_axis(rows, self._feature[trees, nodes], axis=1)
            nodes = np.where(at <= self._threshold[trees, nodes], self._left[trees, nodes], self._right[trees, nodes])
        total = np.zeros((len(rows), self._values.shape[2]))
        for tree in range(TREES):
            total += self._values[tree, nodes[:, tree]]
        return total / TREES


class _Process:
    """One Gaussian process for all quantiles, its lengthscales fitted to their mean."""

    def __init__(self, rows: Matrix, targets: Matrix) -> None:
        self._rows = rows
        self._centre, self._spread = targets.mean(axis=0), targets.std(axis=0) + 1e-9
        scaled = (targets - self._centre) / self._spread
        kernel = Matern(np.ones(rows.shape[1]), (0.05, 20), nu=1.5) + WhiteKernel(0.1, (1e-3, 10))
        process = GaussianProcessRegressor(kernel, optimizer=_descend, normalize_y=True, random_state=0)
        mean = targets.mean(axis=1)
        process.fit(rows, (mean - mean.mean()) / (mean.std() + 1e-9))
        fitted = process.kernel_
        self._kernel = fitted.k1
        noisy = fitted(rows)
        self._weights = np.linalg.solve(noisy, scaled)

    def predict(self, rows: Matrix) -> Matrix:
        quantiles: Matrix = self._kernel(rows, self._rows) @ self._weights * self._spread + self._centre
        return quantiles


def _descend(objective: object, start: Matrix, bounds: Matrix) -> tuple[Matrix, float]:
    """L-BFGS with few steps and a little room to the bounds: a fit for a benchmark needs no last digit."""
    inner = np.column_stack([bounds[:, 0] + 0.01, bounds[:, 1] - 0.01])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=inner, options={"maxiter": 25})
    return found.x, float(found.fun)


def _validate(rows: Matrix, quantiles: Matrix) -> float:
    truth = quantiles.mean(axis=1)
    predicted = np.zeros(len(rows))
    for train, test in KFold(min(5, len(rows)), shuffle=True, random_state=0).split(rows):
        fits = _Forest(rows[train], quantiles[train]), _Process(rows[train], quantiles[train])
        predicted[test] = 0.5 * sum(fit.predict(rows[test]).mean(axis=1) for fit in fits)
    return float(1 - np.sum((truth - predicted) ** 2) / (np.sum((truth - truth.mean()) ** 2) + 1e-12))
