"""``--search gp``: this project's Gaussian process."""

from collections.abc import Sequence

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.search_space import SearchSpace
from multistage.search.multistage import StagedSearch


class GaussianProcessSearcher(StagedSearch):
    """Suggests what promises the highest expected improvement; see `GaussianProcessSearch`."""

    def suggest(
        self, box: SearchSpace, evaluations: Sequence[Evaluation], pending: Sequence[Config], count: int
    ) -> Sequence[Config]:
        """Suggest configs, none twice as long as the box has so many."""
        return self.model.propose(box, evaluations, pending, count)
