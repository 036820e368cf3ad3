"""Scrambled Sobol points: even coverage of a space at any number of points."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from multistage.domain.runs.results import Config, Value
from multistage.domain.space.search_space import SearchSpace

LARGEST_LIST = 100_000
"""Finite spaces up to this size are listed where points run out."""

Key = tuple[Value, ...]


def key_of(config: Config) -> Key:
    """A config's values in the order of the names, by which twins are told."""
    return tuple(config[name] for name in sorted(config))


def draw_points(dimensions: int, count: int, seed: int) -> NDArray[np.float64]:
    """The first ``count`` points of a scrambled Sobol sequence in the unit cube, shape (count, dimensions).

    Source: scipy.stats.qmc.Sobol (Joe and Kuo's directions, Owen's scrambling).
    """
    sobol = qmc.Sobol(dimensions, rng=np.random.default_rng(seed))
    points: NDArray[np.float64] = sobol.random_base2(max(0, int(count - 1).bit_length()))[:count]
    return points


def sample_sobol(
    space: SearchSpace, count: int, seed: int, taken: Sequence[Config] = (), pending: Sequence[Config] = ()
) -> list[Config]:
    """Configs that cover the space evenly.

    Args:
        space: Where they lie.
        count: How many.
        seed: Of the scrambling.
        taken: Configs that are there already.
        pending: Those that are queued or running.

    Returns:
        Exactly ``count`` configs, all distinct and none of them taken or pending, as long as the space has so many;
        a finite space that is exhausted is gone through again, those under way last, and of others the rarest first.
    """
    seen = Counter(key_of(config) for config in (*taken, *pending))
    chosen: list[Config] = []
    for config in _walk(space, 4 * count, seed):
        if len(chosen) < count and not seen[key_of(config)]:
            seen[key_of(config)] += 1
            chosen.append(config)
    if len(chosen) < count:
        rest = {key_of(config): config for config in _list_shuffled(space, seed)}
        under_way = Counter(key_of(config) for config in (*pending, *chosen))
        queue = [(under_way[key], seen[key], place, config) for place, (key, config) in enumerate(rest.items())]
        heapq.heapify(queue)
        while len(chosen) < count:
            running, tried, place, config = queue[0]
            chosen.append(config)
            heapq.heapreplace(queue, (running + 1, tried + 1, place, config))
    return chosen


def _walk(space: SearchSpace, count: int, seed: int) -> Iterator[Config]:
    for point in draw_points(len(space), count, seed):
        yield space.from_unit(point)


def _list_shuffled(space: SearchSpace, seed: int) -> list[Config]:
    if space.size is not None and space.size <= LARGEST_LIST:
        configs = space.list_configs()
    else:
        # So many points of so large a space that were not enough are twins by rounding; any of them will do.
        configs = list(_walk(space, 64, seed))
    order = np.random.default_rng(seed).permutation(len(configs))
    return [configs[index] for index in order]
