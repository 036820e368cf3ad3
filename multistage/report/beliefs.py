"""What the runs make one believe of the parameters: which matter, and where the good values lie."""

from typing import NamedTuple

from multistage.domain.runs.results import Config, Value
from multistage.report.data import ReportData
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
