"""How single runs scatter around what is believed of their config: mostly a little, and at times far below.

Where most seeds reach the best that there is and some fail, normal noise would hide the failures in the tail that it
does not have. So the noise has the shape that the runs show: normal as far as nothing is known, else that of the
misses of the runs so far.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import inv

from multistage.search.encoding import Matrix
from multistage.search.ensemble import Ensemble, Groups, Member, measure_distances
from multistage.search.surrogate import Vector

NORMAL = 5.0
"""Runs that normal noise weighs as much as."""
FEWEST = 8
"""Configs from which on their misses tell anything."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class NoiseShape(NamedTuple):
    """Where single runs may lie, in deviations of their config's noise, and how likely that is, draw by draw."""

    nodes: Vector
    weights: Matrix
    """Shape (draws, nodes); each row sums to one."""


def draw_shapes(misses: Vector, draws: int, random: np.random.Generator) -> NoiseShape:
    """Draw shapes of the noise, given how far runs were off.

    Source: Rubin, "The Bayesian Bootstrap", 1981, with normal noise as the base of the Dirichlet process (Ferguson,
    1973).

    Args:
        misses: In deviations.
        draws: How many.
        random: Draws them.
    """
    nodes = np.append(_NODES, misses)
    masses = np.append(NORMAL * _WEIGHTS, np.ones(len(misses)))
    weights = np.maximum(random.gamma(masses, size=(draws, len(nodes))), 1e-300)
    return NoiseShape(nodes, weights / weights.sum(axis=1, keepdims=True))


def measure_misses(ensemble: Ensemble, members: Sequence[Member], groups: Groups) -> Vector:
    """How far off the runs of the best quarter were from what all other configs' runs foretell.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 5.4.2.

    Args:
        ensemble: The processes' kind.
        members: The processes.
        groups: The runs, by config.

    Returns:
        In deviations, averaged over the members; nothing where there are too few configs.
    """
    if len(groups.means) < FEWEST:
        return np.zeros(0)
    distances = measure_distances(groups.rows, groups.rows)
    standings = ensemble.stand(groups, groups.rows)
    foretold, misses = np.zeros(len(standings)), np.zeros(len(standings))
    for member in members:
        inverse = inv(member.cover_runs(distances, member.spread(standings), groups.counts), check_finite=False)
        off = inverse @ groups.means / np.diag(inverse)
        foretold += (groups.means - off) / len(members)
        misses += off * np.sqrt(np.diag(inverse)) / len(members)
    best = np.argsort(-foretold, kind="stable")[: max(FEWEST // 2, len(foretold) // 4)]
    return misses[best]
