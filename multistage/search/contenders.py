"""What is believed of the contenders' true values, before their race and after it.

Before it, by an ensemble of processes of all runs of the search. The race then corrects them: each member's joint
belief about the contenders is conditioned on the race's runs, and the members that foresaw the race count more. Last,
each contender's belief is as much wider or narrower as its own runs were farther off or nearer than predicted. So the
belief about a config that was chosen for its luck moves as far as its fresh runs say, and one that never ran again
stays wide.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multistage.search.encoding import Matrix
from multistage.search.ensemble import Belief
from multistage.search.noise_shape import draw_shapes
from multistage.search.surrogate import Vector
from multistage.search.targets import Targets

DRAWS = 1000
"""Draws from the belief."""
TRUST = 6.0
"""Runs that a member's word on a contender's noise weighs as much as: the degrees of freedom before any race."""
WIDER = 1.25
"""Factor by which beliefs are wider than the ensemble's, for what no process knows: with it the interval holds 95
times of 100 on twelve tables of trainings. How often on each with the others' factor: `benchmarks/RESULTS.md`."""
_JITTER = 1e-9

Places = NDArray[np.int_]


class Race(NamedTuple):
    """The race's runs by contender, as targets: their number, their mean and the squares around it."""

    counts: Vector
    means: Vector
    squares: Vector


def gather(values: Sequence[Vector]) -> Race:
    """Put the race's values together, a sequence a contender; those that did not run have a mean of 0."""
    counts = np.array([len(group) for group in values], dtype=np.float64)
    means = np.array([np.mean(group) if len(group) else 0.0 for group in values])
    squares = np.array([np.var(group) * len(group) if len(group) else 0.0 for group in values])
    return Race(counts, means, squares)


class Prediction:
    """What is believed of some contenders before their race, in the metric's units, more being better.

    Args:
        targets: The search's values.
        joint: The belief about the contenders' targets.
        misses: How far single runs of the search were from what was believed, in deviations.
        seed: Of the draws.
    """

    def __init__(self, targets: Targets, joint: "Joint", misses: Vector, seed: int) -> None:
        self._targets, self._joint, self._misses, self._seed = targets, joint, misses, seed

    def race(self, values: Sequence[Sequence[float]]) -> tuple[Matrix, Vector]:
        """What is believed after a race.

        Args:
            values: What its runs reached, in the metric's units; a sequence a contender, empty where none ran.

        Returns:
            Draws of the true values, shape (draws, contenders), and the variance of single runs by contender.
        """
        placed = [self._targets.place(np.array(group, dtype=np.float64)) for group in values]
        random = np.random.default_rng(self._seed)
        draws = self._joint.draw(gather(placed), random)
        believed = zip(placed, draws.means.mean(axis=0), draws.deviations.mean(axis=0), strict=True)
        misses = [self._misses, *((runs - mean) / deviation for runs, mean, deviation in believed)]
        shape = draw_shapes(np.concatenate(misses), DRAWS, random)
        means, variances = self._targets.expect(draws.means, draws.deviations, shape)
        centre = means.mean(axis=0)
        return centre + WIDER * (means - centre), variances.mean(axis=0)


class Draws(NamedTuple):
    """Draws from the belief, shape (draws, contenders): true means of targets, and deviations of single runs."""

    means: Matrix
    deviations: Matrix


class Joint:
    """What all members believe of the contenders before the race.

    Args:
        beliefs: Each member's, about the same contenders.
    """

    def __init__(self, beliefs: Sequence[Belief]) -> None:
        self._means = np.array([belief.mean for belief in beliefs])
        self._noise = np.array([belief.noise for belief in beliefs])
        self._jitter = _JITTER * np.eye(self._means.shape[1])
        self._covariances = np.array([belief.covariance for belief in beliefs]) + self._jitter
        self._variances = np.einsum("kii->ki", self._covariances)

    def draw(self, race: Race, random: np.random.Generator) -> Draws:
        """Draw from the belief after the race.

        Source: Gelman et al., "Bayesian Data Analysis", 3.3: a normal mean whose prior is scaled by the unknown
        variance, member by member, which makes every contender's belief one of Student's.
        """
        ran = np.flatnonzero(race.counts)
        means, covariances = self._condition(race, ran)
        weights = self._weigh(race, ran)
        members = random.choice(len(weights), DRAWS, p=weights)
        factors = np.linalg.cholesky(covariances)
        away = np.einsum("kij,kj->ki", factors[members], random.normal(size=(DRAWS, means.shape[1])))
        missed = np.square(race.means - self._means) / (self._noise / np.maximum(race.counts, 1) + self._variances)
        rates = TRUST + np.where(race.counts > 0, missed + race.squares / self._noise, 0.0)
        scales = 0.5 * rates[members] / random.gamma(0.5 * (TRUST + race.counts), size=away.shape)
        noise = self._noise * rates / (TRUST + race.counts)
        return Draws(means[members] + np.sqrt(scales) * away, np.sqrt(noise[members]))

    def _condition(self, race: Race, ran: Places) -> tuple[Matrix, Matrix]:
        """Each member's means and covariances after the race."""
        if not len(ran):
            return self._means, self._covariances
        across = self._covariances[:, ran, :]
        gains = np.linalg.solve(self._total(race, ran), across).transpose(0, 2, 1)
        off = race.means[ran] - self._means[:, ran]
        means = self._means + np.einsum("kij,kj->ki", gains, off)
        covariances = self._covariances - gains @ across
        return means, 0.5 * (covariances + covariances.transpose(0, 2, 1)) + self._jitter

    def _weigh(self, race: Race, ran: Places) -> Vector:
        """How likely each member is after the race, by Student's distribution: one far run does not decide alone."""
        if not len(ran):
            return np.full(len(self._means), 1 / len(self._means))
        total, off = self._total(race, ran), race.means[ran] - self._means[:, ran]
        missed = np.einsum("ki,ki->k", off, np.linalg.solve(total, off[:, :, None])[:, :, 0])
        missed += (race.squares[ran] / self._noise[:, ran]).sum(axis=1)
        volumes = np.linalg.slogdet(total)[1] + np.log(self._noise[:, ran]) @ (race.counts[ran] - 1)
        worth = -0.5 * volumes - 0.5 * (TRUST + race.counts.sum()) * np.log1p(missed / TRUST)
        weights: Vector = np.exp(worth - worth.max())
        weights /= weights.sum()
        return weights

    def _total(self, race: Race, ran: Places) -> Matrix:
        """The covariance of the race's means, by member."""
        noise = self._noise[:, ran] / race.counts[ran]
        total: Matrix = self._covariances[:, ran[:, None], ran] + noise[:, :, None] * np.eye(len(ran))
        return total
