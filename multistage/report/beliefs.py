"""What the runs make one believe of the parameters: which matter, and where the good values lie."""

from typing import NamedTuple

import numpy as np

from multistage.domain.results import Config, Value
from multistage.report.data import ReportData
from multistage.search.sobol import sample_sobol

LEAST_FOR_MODEL = 6
"""Finished runs below which nothing is said about what mattered."""
BACKGROUND = 64
"""Configs over which the other parameters' influence is averaged."""
LEVELS = 9
"""Values of a parameter at which its influence is looked at."""


class Influence(NamedTuple):
    """How much of the metric's believed variation one parameter explains on its own, from 0 to 1."""

    name: str
    share: float


def measure_influence(data: ReportData) -> list[Influence]:
    """Rank the parameters by their main effects on the Gaussian process's mean over the first ranges.

    The first-order indices of Sobol, "Sensitivity estimates for nonlinear mathematical models", 1993. Empty with too
    few runs to tell.
    """
    space = data.state.settings.space
    if len(data.placed) < max(LEAST_FOR_MODEL, 2 * len(space.names)):
        return []
    background = sample_sobol(space, BACKGROUND, seed=0)
    candidates: list[Config] = list(background)
    sizes = []
    for parameter in space.parameters:
        levels = parameter.grid(LEVELS)
        sizes.append(len(levels))
        candidates += [{**config, parameter.name: level} for level in levels for config in background]
    means = np.array([one.mean for one in data.model.estimate(data.placed, candidates)])
    total = float(np.var(means[len(background) :])) or 1.0
    shares, start = [], len(background)
    for parameter, size in zip(space.parameters, sizes, strict=True):
        effects = means[start : start + size * len(background)].reshape(size, len(background)).mean(axis=1)
        shares.append(Influence(parameter.name, min(1.0, float(np.var(effects)) / total)))
        start += size * len(background)
    return sorted(shares, key=lambda one: -one.share)


class Slice(NamedTuple):
    """The Gaussian process along one parameter, the others as in one config."""

    values: list[Value]
    means: list[float]
    deviations: list[float]


def slice_model(data: ReportData, center: Config, name: str, points: int = 41) -> Slice:
    """Follow the model along one parameter."""
    values = data.state.settings.space[name].grid(points)
    estimates = data.model.estimate(data.placed, [{**center, name: value} for value in values])
    return Slice(values, [one.mean for one in estimates], [one.std for one in estimates])


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
    means = [one.mean for one in estimates]
    return Surface(first, second, [means[row * len(first) : (row + 1) * len(first)] for row in range(len(second))])
