"""``--search sobol``: even coverage of the box of the stage."""

from collections.abc import Sequence

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.search_space import SearchSpace
from multistage.search.multistage import StagedSearch
from multistage.search.sobol import key_of, sample_sobol


class SobolSearcher(StagedSearch):
    """Suggests scrambled Sobol points, and goes on with their sequence as long as the box is the same."""

    def suggest(
        self, box: SearchSpace, evaluations: Sequence[Evaluation], pending: Sequence[Config], count: int
    ) -> Sequence[Config]:
        """Suggest configs, none twice as long as the box has so many; then the rarest again."""
        tried = [evaluation.config for evaluation in evaluations]
        seen = {key_of(config) for config in (*tried, *pending) if box.contains(config)}
        points = sample_sobol(box, len(seen) + count, self.problem.seed)
        fresh = [config for config in points if key_of(config) not in seen]
        if len(fresh) < count:
            return sample_sobol(box, count, self.problem.seed, tried, pending)
        return fresh[:count]
