"""What the runs make one believe of the parameters: which matter, and where the good values lie."""

from typing import NamedTuple

import numpy as np

from multistage.domain.runs.results import Config, Value
from multistage.report.data import ReportData
from multistage.search.finalists import TAILS
from multistage.search.importance import measure_importance


class Influence(NamedTuple):
    """One parameter's share of the importance, from 0 to 1, and whether that is more than chance shows."""

    name: str
    share: float
    matters: bool


def measure_influence(data: ReportData) -> list[Influence]:
    """Rank the parameters by their importance over the first ranges; empty where stage 1 had too few runs to tell."""
    found = measure_importance(data.state.settings.space, data.evaluations, data.state.goal)
    return [Influence(name, one.share, one.matters) for name, one in found.items()]


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
