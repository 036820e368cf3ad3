"""Three stages and a race, whatever suggests the configs: what all of this project's searchers share.

search = create_searcher("gp", SearchProblem(space=space, goal="maximize", budgets=(150, 250, 100), finalists=60))
configs = search.plan()                                         # train them all
box = search.narrow(2, evaluations, space).space
proposals = search.propose(2, box, evaluations, pending=[], used=0, count=10)
...
search.recommend(evaluations)
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.runs.selection import select_top
from multistage.domain.space.narrowing import WIDTHS, Narrowing, narrow
from multistage.domain.space.search_space import SearchSpace
from multistage.errors import UsageError
from multistage.search.base import Proposal, SearchProblem
from multistage.search.finalists import FinalistRace, Recommendation
from multistage.search.gaussian_process import GaussianProcessSearch
from multistage.search.importance import measure_importance
from multistage.search.stage1 import plan_stage1


class StagedSearch(ABC):
    """Three stages of search and a race of the finalists, as one pure object; a subclass suggests the configs.

    It keeps no state that a restart would miss: every answer is a function of the arguments, and only the
    Gaussian process' fitted hyperparameters are kept between calls, for speed.

    Args:
        problem: The sweep.
        variant: What followed the searcher's name; `check` has let it pass.
    """

    def __init__(self, problem: SearchProblem, variant: str = "") -> None:
        self.problem = problem
        self.variant = variant
        self.model = GaussianProcessSearch(problem.space, problem.goal, problem.seed)
        """What the race and the recommendation believe of every config."""
        self._again = None if problem.finalists else problem.again
        self._race = FinalistRace(self.model, problem.space, problem.defaults, problem.goal)

    @classmethod
    def check(cls, variant: str) -> None:
        """Refuse variants; a subclass that has some says here which.

        Raises:
            UsageError: There is no such variant.
        """
        if variant:
            raise UsageError(f"This searcher has no variant {variant!r}, nor any other.", "Leave out the colon.")

    @abstractmethod
    def suggest(
        self, box: SearchSpace, evaluations: Sequence[Evaluation], pending: Sequence[Config], count: int
    ) -> Sequence[Config]:
        """Suggest configs for stages 2 and 3.

        Args:
            box: The ranges in which to look; within the problem's space.
            evaluations: All used slots of all stages. Some may have failed, have no value, or lie outside the box.
            pending: Configs that are queued or running.
            count: How many are wanted.

        Returns:
            Exactly ``count`` configs, all within the box.
        """

    def plan(self) -> Sequence[Config]:
        """Stage 1's configs, all of them.

        Raises:
            BudgetError: A grid was asked for that does not fit.
        """
        asked = self.problem
        return plan_stage1(
            asked.space, asked.stage1, asked.resolution, asked.budgets[0], asked.seed, asked.first, asked.prior
        )

    def narrow(self, stage: Literal[2, 3], evaluations: Sequence[Evaluation], current: SearchSpace) -> Narrowing:
        """The box that stage 2 or 3 searches.

        Defaults that lie outside what the user asked for narrow nothing: no box can hold them.

        Args:
            stage: The stage that comes.
            evaluations: All used slots so far.
            current: The box of the stage that ended.
        """
        ended = [
            evaluation for evaluation in evaluations
            if evaluation.stage == stage - 1
            and (evaluation.config != self.problem.first or self.problem.space.contains(evaluation.config))
        ]  # fmt: skip
        space, goal = self.problem.space, self.problem.goal
        importance = measure_importance(space, evaluations, goal, self.problem.seed)
        return narrow(space, current, select_top(ended, goal), WIDTHS[stage], importance)

    def propose(
        self,
        stage: Literal[2, 3],
        box: SearchSpace,
        evaluations: Sequence[Evaluation],
        pending: Sequence[Proposal],
        used: int,
        count: int,
    ) -> Sequence[Proposal]:
        """What to train next in stage 2 or 3.

        Args:
            stage: The stage under way.
            box: Its ranges, from `narrow`.
            evaluations: All used slots of all stages.
            pending: This stage's slots that are queued or running.
            used: How many of the stage's slots were handed out so far, pending ones included.
            count: How many are wanted.

        Returns:
            At most ``count`` proposals; none where the stage's budget is handed out.
        """
        budgets = self.problem.budgets
        left = min(count, budgets[stage - 1] - used)
        race_from = budgets[2] - self.problem.finalists if stage == 3 else budgets[1]
        searching = max(0, min(left, race_from - used))
        configs = [proposal.config for proposal in pending]
        last = self._choose_last(evaluations, configs) if stage == 3 and searching and used + left >= race_from else []
        proposals: list[Proposal] = []
        if searching > len(last):
            found = self.suggest(box, evaluations, configs, searching - len(last))
            proposals += [Proposal(config=config) for config in found]
        proposals += [Proposal(config=config) for config in last]
        if left > searching:
            racing = [proposal.config for proposal in pending if proposal.finalist]
            remaining = budgets[2] - used - searching
            contenders = self._race.propose(evaluations, racing, remaining, left - searching)
            proposals += [Proposal(config=config, finalist=True) for config in contenders]
        return proposals

    def _choose_last(self, evaluations: Sequence[Evaluation], pending: Sequence[Config]) -> list[Config]:
        """What the last run of stage 3 trains beside the search: the defaults, unless the stage has trained them."""
        trained = [evaluation.config for evaluation in evaluations if evaluation.stage == 3]
        return [] if self._again is None or self._again in (*trained, *pending) else [self._again]

    def recommend(self, evaluations: Sequence[Evaluation]) -> Recommendation | None:
        """The config that the sweep stands for; None where nothing finished with a finite value."""
        return self._race.recommend(evaluations)
