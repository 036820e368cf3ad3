"""Methods side by side: what each found with the same budget, and what that is worth on fresh seeds."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.stats import t

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Goal

Method = Literal["random", "bayes", "multi-stage"]


class Mean(Model):
    """What several runs of one config average to."""

    mean: float
    interval: tuple[float, float] | None
    """95% by Student's t; None for a single run."""
    runs: int


class MethodResult(Model):
    """What one method found with the budget, and what that is worth."""

    method: Method
    search: str
    """Who proposed the configs."""
    runs: int
    best: float | None
    """The best value seen."""
    config: Config
    """Its winner: the config with the best value seen, or what the multi-stage sweep recommends."""
    values: tuple[float | None, ...]
    """The winner's values on the fresh seeds, in their order; None for a run that failed."""
    mean: Mean | None
    """Of those values."""
    gain: Mean | None = None
    """By how much the multi-stage sweep's winner is better, seed by seed; None for itself."""
    url: str | None = None
    """The W&B sweep of its runs; None where there are several."""


class Comparison(Model):
    """The methods side by side."""

    name: str
    metric: str
    goal: Goal
    budget: int
    seeds: tuple[int, ...]
    results: tuple[MethodResult, ...]
    dollars: float | None = None
    """What the containers of all that was trained for it have cost; None on one's own machine."""


def average(values: Sequence[float]) -> Mean | None:
    """Average the values of several runs of one config; None where there are none."""
    if not values:
        return None
    mean = float(np.mean(values))
    if len(values) == 1:
        return Mean(mean=mean, interval=None, runs=1)
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return Mean(mean=mean, interval=(mean - half, mean + half), runs=len(values))


def measure_gain(mine: Sequence[float | None], theirs: Sequence[float | None], goal: Goal) -> Mean | None:
    """Average by how much one config is better than another, seed by seed; None where no seed has both.

    Args:
        mine: One config's values by seed; None for a run that failed.
        theirs: The other's on the same seeds.
        goal: Whether more is better.
    """
    sign = 1.0 if goal == "maximize" else -1.0
    pairs = zip(mine, theirs, strict=True)
    return average([sign * (one - other) for one, other in pairs if one is not None and other is not None])
