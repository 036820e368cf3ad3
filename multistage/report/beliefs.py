"""What the runs make one believe of the parameters: which matter, and where the good values lie."""

from typing import NamedTuple

import numpy as np

from multistage.domain.runs.results import Config, Value
from multistage.report.data import ReportData
from multistage.search.finalists import TAILS
from multistage.search.importance import measure_importance
from multistage.search.sobol import sample_sobol

FEWEST = 6
"""Runs with a value below which nothing is said of what matters."""
MOST_PLACES = 200
"""Configs of which the ensemble is asked at once to tell what matters: its draws are joint, and cost their cube."""
LEVELS = 5
"""Values of a parameter."""


class Influence(NamedTuple):
    """One parameter's share of the importance, from 0 to 1, and whether that is more than chance shows."""

    name: str
    share: float
    matters: bool
    interval: tuple[float, float] | None = None
    """The share's 95%, where it was told by the model of all runs, stage 1 having had too few."""


def measure_influence(data: ReportData) -> list[Influence]:
    """Rank the parameters by their importance over the first ranges; empty where nothing can be told."""
    found = measure_importance(data.state.settings.space, data.evaluations, data.state.goal)
    return [Influence(name, one.share, one.matters) for name, one in found.items()] or _infer_influence(data)


def _infer_influence(data: ReportData) -> list[Influence]:
    """Infer from the ensemble what each parameter by itself decides: the variance of its main effect, draw by draw.

    A parameter matters whose share is above an even one in 95 of 100 draws.
    """
    space = data.state.settings.space
    varied = [one for one in space.parameters if one.size != 1]
    if len(data.placed) < FEWEST or not varied or len({one.value for one in data.placed}) == 1:
        return []
    levels = [one.grid(LEVELS) for one in varied]
    bases = sample_sobol(space, max(4, MOST_PLACES // sum(map(len, levels))), seed=0)
    configs = [
        {**base, one.name: value}
        for one, values in zip(varied, levels, strict=True)
        for value in values
        for base in bases
    ]
    draws, _ = data.model.predict(data.placed, configs).race([()] * len(configs))
    effects = draws.reshape(len(draws), -1, len(bases)).mean(axis=2)
    ends = np.cumsum([len(values) for values in levels])[:-1]
    variances = np.array([effect.var(axis=1) for effect in np.split(effects, ends, axis=1)]).T
    shares = variances / np.maximum(variances.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    lows, highs = np.quantile(shares, TAILS, axis=0)
    surest = np.quantile(shares, 0.05, axis=0)
    found = [
        Influence(one.name, float(share), len(varied) == 1 or float(sure) > 1 / len(varied), (float(low), float(high)))
        for one, share, sure, low, high in zip(varied, shares.mean(axis=0), surest, lows, highs, strict=True)
    ]
    return sorted(found, key=lambda one: -one.share)


class Slice(NamedTuple):
    """What is believed along one parameter, the others as in one config: true values, with the ends of their 95%."""

    values: list[Value]
    means: list[float]
    lows: list[float]
    highs: list[float]


def slice_model(data: ReportData, center: Config, name: str, points: int = 41) -> Slice:
    """Follow along one parameter what the ensemble of processes believes, from which the printed interval comes too."""
    values = data.state.settings.space[name].grid(points)
    predicted = data.model.predict(data.placed, [{**center, name: value} for value in values])
    draws, _ = predicted.race([()] * len(values))
    told = draws if data.state.goal == "maximize" else -draws
    lows, highs = np.quantile(told, TAILS, axis=0)
    return Slice(values, told.mean(axis=0).tolist(), lows.tolist(), highs.tolist())


class Surface(NamedTuple):
    """The Gaussian process's mean over two parameters, the others as in one config; rows follow the second."""

    first: list[Value]
    second: list[Value]
    means: list[list[float]]


def map_model(data: ReportData, center: Config, names: tuple[str, str], points: int = 25) -> Surface:
    """Spread the model over two parameters."""
    space = data.state.settings.space
    first, second = (space[name].grid(points) for name in names)
    configs = [{**center, names[0]: one, names[1]: two} for two in second for one in first]
    estimates = data.model.estimate(data.placed, configs)
    means = [estimate.mean for estimate in estimates]
    return Surface(first, second, [means[row * len(first) : (row + 1) * len(first)] for row in range(len(second))])
