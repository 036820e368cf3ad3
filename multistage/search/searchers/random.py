"""``--search random``: chance alone, in the box of the stage."""

from collections.abc import Sequence

import numpy as np

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.search_space import SearchSpace
from multistage.search.multistage import StagedSearch


class RandomSearcher(StagedSearch):
    """Suggests configs at random, each parameter uniform on its own scale."""

    def suggest(
        self, box: SearchSpace, evaluations: Sequence[Evaluation], pending: Sequence[Config], count: int
    ) -> Sequence[Config]:
        """Suggest configs by their number in the sweep, so that the order in which runs end changes none."""
        start = len(evaluations) + len(pending)
        return [box.from_unit(self._draw(number, len(box))) for number in range(start, start + count)]

    def _draw(self, number: int, dimensions: int) -> Sequence[float]:
        return list(np.random.default_rng([abs(self.problem.seed), number]).random(dimensions))
