"""Learning curves for the search benchmark's runs, and what alike curves tell of one that is not finished.

A run's final value is drawn from its table as ever. Its curve is taken from the config nearby whose true value is
nearest, and from that seed of it that stands as high among its seeds, bent to end where the run does: by a tenth of the
difference after the first level, and by the whole after the last. So the runs of a config share what is its own in all
lengths, and a seed's luck lasts as long as it does in the table.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr
from search_tables import Matrix, Table, TableError

from multistage.domain.runs.results import Config

LEVELS = 10
"""Equal parts of a whole training, after each of which a value is known."""
NEAR = 8
"""Configs of the table among which the nearest true value is looked for."""
FEWEST = 20
"""Whole curves before anything is predicted."""


class Curves:
    """The learning curves of a table.

    Args:
        table: The task.

    Raises:
        TableError: It holds no curves of so many levels.
    """

    def __init__(self, table: Table) -> None:
        if table.curves.shape[2] != LEVELS:
            raise TableError(f"its Y has the shape {table.curves.shape}, and curves need {LEVELS} lengths of training")
        self._table = table

    def draw(self, config: Config, value: float, random: np.random.Generator) -> Matrix:
        """Return the values after each level of a run that ends with this one; ``random`` chooses among equal seeds."""
        quantiles = self._table.spread(config)
        apart = np.sum((self._table.rows - self._table.space.to_unit(config)) ** 2, axis=1)
        near = np.argsort(apart, kind="stable")[:NEAR]
        ends = self._table.curves[near, :, -1].mean(axis=1)
        seeds = self._table.curves[near[int(np.argmin(np.abs(ends - quantiles.mean())))]]
        off = np.abs(quantiles - value)
        place = random.choice(np.flatnonzero(off <= off.min() + 1e-9 * (1 + abs(value))))
        curve = seeds[np.argsort(seeds[:, -1], kind="stable")[place]]
        bent: Matrix = curve + (value - curve[-1]) * np.arange(1, LEVELS + 1) / LEVELS
        return bent


class Outlook(NamedTuple):
    """What a curve so far lets expect of its end."""

    value: float
    leads: float
    """The chance to end in the top tenth of those that are whole."""


def predict_end(whole: Sequence[Matrix], sofar: Matrix) -> Outlook | None:
    """Predict a curve's end by the whole curves that stood alike at its level.

    Those are a fifth, and at least five, of all, and whoever stood as near as they. Their ends are taken as a normal
    spread, no narrower than a hundredth of the spread of all.

    Args:
        whole: The curves of whole runs.
        sofar: The values of the run that goes on.

    Returns:
        The outlook; None where too few are whole.
    """
    if len(whole) < FEWEST:
        return None
    curves = np.array(whole)
    ends, at = curves[:, -1], len(sofar) - 1
    apart = np.abs(_stand(curves[:, at], curves[:, at]) - _stand(curves[:, at], sofar[at : at + 1]))
    limit = np.sort(apart)[max(5, len(curves) // 5) - 1]
    alike = ends[apart <= limit]
    spread = max(float(alike.std()), 0.01 * float(ends.std()), 1e-12)
    return Outlook(float(alike.mean()), float(ndtr((alike.mean() - np.quantile(ends, 0.9)) / spread)))


def _stand(known: Matrix, values: Matrix) -> Matrix:
    """The share of known values that lie below each, ties counted half."""
    known = np.sort(known)
    places: Matrix = (np.searchsorted(known, values) + np.searchsorted(known, values, "right")) / (2 * len(known))
    return places
