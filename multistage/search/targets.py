"""A sweep's values as targets that a Gaussian process can learn, and back."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from multistage.domain.runs.results import Evaluation, Goal

Vector = NDArray[np.float64]

LARGEST = 1e100
"""Value beyond which all count as the same; sums and squares of such are still numbers."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


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

    def expect(self, means: Vector, deviations: Vector) -> tuple[Vector, Vector]:
        """What runs average to whose targets are normal, and their variance; more being better, not before `floor`.

        The worse half being drawn in, a config whose runs fail at times averages to less than its mean target says.
        Source: Gauss-Hermite quadrature.

        Args:
            means: Of the targets.
            deviations: Of the targets of single runs.
        """
        first, second = np.zeros_like(means), np.zeros_like(means)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            values = np.maximum(self._sign * self.restore(means + node * deviations), self.floor)
            values = values - self._centre  # for the digits of the variance
            first, second = first + weight * values, second + weight * values * values
        return first + self._centre, np.maximum(second - first * first, 0.0)

    @property
    def floor(self) -> float:
        """Where a diverged run counts as lying: as far below the median as the best above, or where a tail begins.

        A run of minus a million would otherwise be the mean of its config's.
        """
        reach = max(float(self._raw[-1]) - self._centre, self._spread)
        low = float(np.quantile(self._raw, 0.05))
        return min(self._centre - reach, low) if low > self._centre - 10 * reach else self._centre - reach

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
