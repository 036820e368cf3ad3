"""What whole learning curves tell of shorter trainings: whether they rank, and what their values stand for."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr
from search_curves import LEVELS
from search_tables import Matrix

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.search_space import SearchSpace
from multistage.search.encoding import Encoder
from multistage.search.surrogate import Surrogate
from multistage.search.targets import Targets

LENGTHS = (3, 5)
"""Levels at which a stage's runs may end instead of at the last."""
WORTH = 1.5
"""Times as much evidence as whole trainings of the same time that short ones have to give before they are taken."""


def choose_length(space: SearchSpace, curves: Sequence[tuple[Config, Matrix]]) -> int:
    """Choose the length of stage 2's trainings by the whole curves of stage 1.

    What a run's neighbours reached at whole length stands for its config's true value: they share no noise with it. A
    length is worth the squared rank correlation of its values with that, over what is left of 1, over its time.

    Args:
        space: What is searched.
        curves: Configs and their whole curves.

    Returns:
        The level with the highest worth; the last one unless another's is `WORTH` times its.
    """
    values = np.array([curve for _, curve in curves])
    expected = _leave_out(space, curves)
    worth = {}
    for level in (*LENGTHS, LEVELS):
        related = min(max(float(spearmanr(values[:, level - 1], expected).statistic), 0.0), 0.99)
        worth[level] = related**2 / (1 - related**2) / level
    best = max(LENGTHS, key=lambda level: worth[level])
    return best if worth[best] > WORTH * worth[LEVELS] > 0 else LEVELS


def _leave_out(space: SearchSpace, curves: Sequence[tuple[Config, Matrix]]) -> Matrix:
    """What the process expects of each config's whole run from those of the others.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", equation 5.12.
    """
    evaluations = [
        Evaluation(stage=1, index=index, config=config, outcome="finished", value=float(curve[-1]))
        for index, (config, curve) in enumerate(curves)
    ]
    rows = (encoder := Encoder(space)).encode([config for config, _ in curves])
    targets = Targets(evaluations, "maximize").values
    surrogate = Surrogate(encoder.width)
    surrogate.fit(rows, targets)
    expected = np.zeros(len(rows))
    for place in range(len(rows)):
        others = np.arange(len(rows)) != place
        posterior = surrogate.condition(rows[others], targets[others])
        expected[place] = posterior.predict(rows[place : place + 1])[0][0]
    return expected


class ValueMap:
    """Maps values after a level to those at whole length that stood as high among the whole curves.

    Beyond the best of them it goes on by the ratio of the better halves' spreads.

    Args:
        curves: The whole curves.
        level: The level.
    """

    def __init__(self, curves: Sequence[Matrix], level: int) -> None:
        self.level = level
        early, late = (np.sort([float(curve[place - 1]) for curve in curves]) for place in (level, LEVELS))
        self._places = np.unique(early)
        # Values that are tied early stand for the mean of the ends that they lead to.
        self._ends = np.array([late[early == place].mean() for place in self._places])
        half = len(early) // 2
        self._ratio = float(np.ptp(late[half:])) / (float(np.ptp(early[half:])) or 1.0)

    def __call__(self, value: float) -> float:
        """Return the value at whole length."""
        beyond = max(0.0, value - float(self._places[-1]))
        return float(np.interp(value, self._places, self._ends)) + beyond * self._ratio
