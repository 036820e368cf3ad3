"""What other trainings have taught, on another environment, over other ranges, of some of the hyperparameters."""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from multistage.domain.model import Model
from multistage.domain.runs.results import Config

FEWEST = 10
"""Trainings from which a source tells anything."""


class Lesson(Model):
    """A config that was trained elsewhere."""

    config: Config
    """Its values of the hyperparameters that are swept now, by their names now."""
    standing: float
    """How it ranked there: 0 is the median, 1 a standard deviation better."""


class PriorSource(Model):
    """Trainings that were compared with each other: an earlier sweep's, or public ones."""

    name: str
    """What a user calls it."""
    names: tuple[str, ...]
    """The hyperparameters that every lesson names."""
    lessons: tuple[Lesson, ...]


def make_source(name: str, names: Sequence[str], configs: Sequence[Config], values: Sequence[float]) -> PriorSource:
    """Make a source of runs.

    Args:
        name: What a user calls it.
        names: The hyperparameters that it shares with the sweep.
        configs: What was trained; other hyperparameters are left out.
        values: What each run reached, more being better; what is not finite ranks last.
    """
    known = np.array(values, dtype=np.float64)
    known[~np.isfinite(known)] = -np.inf
    order = np.sort(known)
    # The mean of the ranks that equal values share, as a normal score.
    ranks = (np.searchsorted(order, known, "left") + np.searchsorted(order, known, "right")) / 2
    lessons = (
        Lesson(config={one: config[one] for one in names}, standing=NormalDist().inv_cdf(float(rank) / len(known)))
        for config, rank in zip(configs, ranks, strict=True)
    )
    return PriorSource(name=name, names=tuple(names), lessons=tuple(lessons))
