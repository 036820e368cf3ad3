"""``--search wandb``: the W&B server's own engine proposes; this project narrows its ranges, and recommends."""

from collections.abc import Sequence
from typing import Literal

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.search_space import SearchSpace
from multistage.search.base import Proposal
from multistage.search.multistage import StagedSearch


class ServerSearcher(StagedSearch):
    """Proposes nothing itself: each stage's sweep tells the server's engine what to search."""

    def plan(self) -> Sequence[Config]:
        """Return none: the server draws stage 1, too."""
        return ()

    def propose(
        self,
        stage: Literal[2, 3],
        box: SearchSpace,
        evaluations: Sequence[Evaluation],
        pending: Sequence[Proposal],
        used: int,
        count: int,
    ) -> Sequence[Proposal]:
        """Return none."""
        del stage, box, evaluations, pending, used, count
        return ()

    def suggest(
        self, box: SearchSpace, evaluations: Sequence[Evaluation], pending: Sequence[Config], count: int
    ) -> Sequence[Config]:
        """Return none."""
        del box, evaluations, pending, count
        return ()
