"""A sweep's values as targets that a Gaussian process can learn, and back."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from multistage.domain.runs.results import Evaluation, Goal
from multistage.search.encoding import Matrix
from multistage.search.noise_shape import NoiseShape

Vector = NDArray[np.float64]

LARGEST = 1e100
"""Value beyond which all count as the same; sums and squares of such are still numbers."""
FARTHEST = 1000.0
"""So many times as far below the median as the best lies above it, a quarter of the runs has diverged."""


class Targets:
    """Values turned so that more is better, scaled by the better half, with the worse half drawn in by rank.

    The returns of reinforcement learning have long lower tails: a diverged run may be a million below the
    rest. Only the order of the bad runs matters, the differences of the good ones are what the search is
    about.

    Args:
        evaluations: Used slots. Failed runs, and those without a finite value, count as the worst that was
            seen.
        goal: Whether more is better.
    """

    def __init__(self, evaluations: Sequence[Evaluation], goal: Goal) -> None:
        self._sign = 1.0 if goal == "maximize" else -1.0
        raw = np.array([_read(evaluation) for evaluation in evaluations], dtype=np.float64) * self._sign
        finite = np.isfinite(raw)
        self.known = bool(finite.any())
        """Whether any run has a value to learn from."""
        if not self.known:
            self.values = np.zeros(len(raw))
            return
        raw[~finite] = raw[finite].min()
        raw = np.clip(raw, -LARGEST, LARGEST)
        self._centre = float(np.median(raw))
        upper = raw[raw >= self._centre] - self._centre
        # The root mean square of the better half is the standard deviation of a symmetric whole.
        self._spread = float(np.sqrt(np.mean(np.square(upper / (upper.max() or 1.0))))) * float(upper.max())
        if self._spread == 0:
            lower = self._centre - raw
            self._spread = float(np.median(lower[lower > 0])) if (lower > 0).any() else 1.0
        scaled = (raw - self._centre) / self._spread
        ranks = norm.ppf(np.clip((rankdata(raw) - 0.5) / len(raw), 1e-6, 1 - 1e-6))
        self.values = np.where(scaled >= 0, scaled, np.maximum(scaled, np.minimum(ranks, 0.0)))
        order = np.argsort(self.values)
        self._knots, self._raw = self.values[order], raw[order]

    def place(self, values: Vector) -> Vector:
        """The targets of other values of the metric; none lies below the worst that was seen."""
        raw = self._sign * values
        placed: Vector = np.interp(raw, self._raw, self._knots) + np.maximum(raw - self._raw[-1], 0.0) / self._spread
        return placed

    def expect(self, means: Matrix, deviations: Matrix, shape: NoiseShape) -> tuple[Matrix, Matrix]:
        """What runs average to, and their variance; more being better, no run counting as below `floor`.

        The worse half being drawn in, a config whose runs fail at times averages to less than its mean target says.

        Args:
            means: Of the targets, shape (draws, configs).
            deviations: Of the targets of single runs; likewise.
            shape: Where single runs lie.
        """
        first, second = np.zeros_like(means), np.zeros_like(means)
        for node, weight in zip(shape.nodes, shape.weights.T[:, :, None], strict=True):
            values = np.maximum(self._sign * self.restore(means + node * deviations), self.floor)
            values = values - self._centre  # for the digits of the variance
            first, second = first + weight * values, second + weight * values * values
        return first + self._centre, np.maximum(second - first * first, 0.0)

    @property
    def floor(self) -> float:
        """Where a diverged run counts as lying: where the worst twentieth begins, unless that is far from the others.

        A run of minus a million would otherwise be the mean of its config's. How far the others lie is told by the
        best, or by the worse quarter where the best all reach the same.
        """
        reach = max(float(self._raw[-1]) - self._centre, self._spread)
        quarter, tail = (self._centre - float(np.quantile(self._raw, share)) for share in (0.25, 0.05))
        usual = max(reach, quarter) if quarter <= FARTHEST * reach else reach
        return self._centre - (max(usual, tail) if tail <= 10 * usual else usual)

    def restore(self, targets: Vector) -> Vector:
        """The metric's values at these targets."""
        if not self.known:
            return np.full(len(targets), math.nan)
        inside = np.interp(targets, self._knots, self._raw)
        above = np.maximum(targets - self._knots[-1], 0.0) * self._spread
        restored: Vector = self._sign * (inside + above)
        return restored

    def restore_spread(self, deviations: Vector) -> Vector:
        """The metric's standard deviations at these of the targets, as among the better half."""
        return deviations * (self._spread if self.known else math.nan)


def _read(evaluation: Evaluation) -> float:
    return math.nan if evaluation.outcome == "failed" or evaluation.value is None else evaluation.value
