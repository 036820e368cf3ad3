"""Many Gaussian processes in place of one: what is believed when the noise differs from config to config.

One fitted process takes its hyperparameters for certain and its noise for the same everywhere, and is far too sure of
itself: with 30 runs of nine hyperparameters many lengthscales and noises explain the runs about as well. Here they are
drawn from their posterior by elliptical slice sampling (Murray, Adams and MacKay, 2010; their priors are normal, as it
takes), and the logarithm of the noise may rise or fall with the believed value: seeds of good configs can agree where
those of poor ones do not, or the other way round.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from multistage.search.encoding import Matrix
from multistage.search.surrogate import Priors, Vector

MEMBERS = 24
"""Processes that are kept."""
EFFORT = 300
"""So many draws by the number of configs lie between two that are kept, and from `APART` on to 10: neighbours in the
chain are alike, and with few configs, where that matters most, a draw costs little."""
APART = 2
"""Draws between two that are kept, at the least; before the first it is five times as many."""
SLOPE = 1.0
"""Standard deviation, before any run, of the slope of the noise's logarithmic variance over the believed values."""
MOST_SAMPLED = 256
"""Configs by which hyperparameters are judged; more cost much and change little."""
_QUIETEST, _LOUDEST = math.log(1e-5), 4.0
"""Bounds on the logarithm of the noise's variance."""


class Groups(NamedTuple):
    """Runs by config: a row each, the mean of its values, their number and the sum of squares around the mean."""

    rows: Matrix
    means: Vector
    counts: Vector
    squares: Vector

    def take(self, places: NDArray[np.int_]) -> "Groups":
        """Some of the configs."""
        return Groups(self.rows[places], self.means[places], self.counts[places], self.squares[places])


def group(rows: Matrix, values: Vector) -> Groups:
    """Put the runs of the same config together."""
    kept, places = np.unique(rows, axis=0, return_inverse=True)
    places = places.ravel()
    counts: Vector = np.bincount(places).astype(np.float64)
    means = np.bincount(places, values) / counts
    squares: Vector = np.bincount(places, (values - means[places]) ** 2).astype(np.float64)
    return Groups(kept, means, counts, squares)


class Member(NamedTuple):
    """One draw: the logarithms of signal, lengthscales and noise, and the noise's slope."""

    signal: float
    lengthscales: Vector
    noise: float
    slope: float

    def cover(self, distances: Matrix) -> Matrix:
        """The covariance of true values; Matern 5/2, of the squared distances by column, shape (columns, m, n)."""
        squared = np.tensordot(np.exp(-2 * self.lengthscales), distances, 1)
        far = np.sqrt(5 * np.maximum(squared, 0.0))
        covariance: Matrix = math.exp(self.signal) * (1 + far + far * far / 3) * np.exp(-far)
        return covariance

    def cover_runs(self, distances: Matrix, noise: Vector, counts: Vector) -> Matrix:
        """The covariance of configs' mean values, of so many runs each, whose single runs have this noise."""
        total = self.cover(distances)
        total[np.diag_indices(len(noise))] += noise / counts + 1e-9
        return total

    def spread(self, standings: Vector) -> Vector:
        """The variance of single runs, where the believed values stand so many deviations above the mean."""
        variance: Vector = np.exp(np.clip(self.noise + self.slope * standings, _QUIETEST, _LOUDEST))
        return variance


class Belief(NamedTuple):
    """What a member believes of some rows: the true values' mean and covariance, and the variance of single runs."""

    mean: Vector
    covariance: Matrix
    noise: Vector


class Ensemble:
    """Processes drawn from the posterior of their hyperparameters.

    Args:
        width: Columns of the rows.
        start: The most probable hyperparameters, in logarithms: signal, lengthscales, noise.
    """

    def __init__(self, width: int, start: Vector) -> None:
        priors = Priors(width)
        self._centre = np.append(priors.modes, 0.0)
        self._spreads = np.append(priors.spreads, SLOPE)
        self._start = np.append(start, 0.0)
        self._usual = _read(self._start)

    def draw(self, groups: Groups, random: np.random.Generator) -> list[Member]:
        """Draw the members, given runs."""
        if len(groups.means) > MOST_SAMPLED:
            groups = groups.take(np.linspace(0, len(groups.means) - 1, MOST_SAMPLED).astype(int))
        distances = measure_distances(groups.rows, groups.rows)
        standings = self.stand(groups, groups.rows)

        def judge(place: Vector) -> float:
            return _judge(_read(place), groups, distances, standings)

        place, members = self._start, []
        worth = judge(place)
        apart = min(10, max(APART, EFFORT // len(groups.means)))
        for number in range((MEMBERS + 4) * apart):
            place, worth = self._step(place, worth, judge, random)
            if number >= 4 * apart and (number + 1) % apart == 0:
                members.append(_read(place))
        return members

    def believe(self, members: Sequence[Member], groups: Groups, rows: Matrix) -> list[Belief]:
        """What each member believes at the rows, given runs."""
        sight = see(groups, rows)
        seen, at = self.stand(groups, groups.rows), self.stand(groups, rows)
        return [sight.believe(member, member.spread(seen), member.spread(at)) for member in members]

    def _step(
        self, place: Vector, worth: float, judge: Callable[[Vector], float], random: np.random.Generator
    ) -> tuple[Vector, float]:
        """One draw on an ellipse through the place and a draw from the prior."""
        other = random.normal(size=len(place)) * self._spreads
        least = worth + math.log(1 - random.random())
        angle = random.uniform(0, 2 * math.pi)
        low, high = angle - 2 * math.pi, angle
        while high - low > 1e-9:
            found = self._centre + (place - self._centre) * math.cos(angle) + other * math.sin(angle)
            worth_found = judge(found)
            if worth_found > least:
                return found, worth_found
            low, high = (angle, high) if angle < 0 else (low, angle)
            angle = random.uniform(low, high)
        return place, worth

    def stand(self, groups: Groups, rows: Matrix) -> Vector:
        """How many deviations above the configs' mean the believed values at rows are, by the most probable process."""
        level = self._usual.spread(np.zeros(len(groups.means)))
        known = see(groups, np.vstack([groups.rows, rows])).believe(self._usual, level, np.zeros(0)).mean
        seen, at = known[: len(level)], known[len(level) :]
        standings: Vector = (at - seen.mean()) / (seen.std() + 1e-9)
        return standings


class Sight(NamedTuple):
    """Runs and the rows at which something is believed, with all squared distances that a member asks for."""

    groups: Groups
    within: Matrix
    across: Matrix
    beyond: Matrix

    def believe(self, member: Member, noise: Vector, noise_at: Vector) -> Belief:
        """Condition a member on the runs.

        Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", algorithm 2.1.

        Args:
            member: The process.
            noise: The variance of single runs, by config of the runs.
            noise_at: The same at the rows; handed through.
        """
        total = member.cover_runs(self.within, noise, self.groups.counts)
        factor = cholesky(total, lower=True, check_finite=False)
        across = solve_triangular(factor, member.cover(self.across), lower=True, check_finite=False)
        mean = across.T @ solve_triangular(factor, self.groups.means, lower=True, check_finite=False)
        return Belief(mean, member.cover(self.beyond) - across.T @ across, noise_at)


def see(groups: Groups, rows: Matrix) -> Sight:
    """Measure the distances of runs and rows."""
    return Sight(
        groups,
        measure_distances(groups.rows, groups.rows),
        measure_distances(groups.rows, rows),
        measure_distances(rows, rows),
    )


def measure_distances(first: Matrix, second: Matrix) -> Matrix:
    """Squared distances by column, shape (columns, first, second)."""
    squared: Matrix = np.square(first.T[:, :, None] - second.T[:, None, :])
    return squared


def _read(place: Vector) -> Member:
    return Member(float(place[0]), place[1:-2], float(place[-2]), float(place[-1]))


def _judge(member: Member, groups: Groups, distances: Matrix, standings: Vector) -> float:
    noise = member.spread(standings)
    total = member.cover_runs(distances, noise, groups.counts)
    try:
        factor = cholesky(total, lower=True, check_finite=False)
    except LinAlgError:
        return -math.inf
    white = solve_triangular(factor, groups.means, lower=True, check_finite=False)
    between = 0.5 * float(white @ white) + float(np.log(np.diag(factor)).sum())
    within = 0.5 * float((groups.counts - 1) @ np.log(noise) + (groups.squares / noise).sum())
    return -between - within
