"""The whole method: who goes first, what is narrowed, what comes next, and which config wins.

search = StagedSearch(space, "maximize", budgets=(150, 250, 100), finalists=60, seed=1)
configs = search.plan_stage1()                                  # train them all
box = search.narrow(2, evaluations, space).space
proposals = search.propose(2, box, evaluations, pending=[], used=0, count=10)
...
search.recommend(evaluations)
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from multistage.domain.model import Model
from multistage.domain.narrowing import Narrowing, narrow
from multistage.domain.results import Config, Evaluation, Goal
from multistage.domain.selection import select_top
from multistage.domain.space import SearchSpace
from multistage.search.finalists import FinalistRace, Recommendation
from multistage.search.gaussian_process import GaussianProcessSearch
from multistage.search.importance import measure_importance
from multistage.search.stage1 import Stage1Method, plan_stage1

WIDTHS: Mapping[int, float] = {2: 2.0, 3: 1.0}
"""Standard deviations to each side of the leaders' mean, by the stage whose box they bound."""


class Proposal(Model):
    """A config to train."""

    config: Config
    finalist: bool = False
    """Whether it is a contender that trains again on a fresh seed."""


class StagedSearch:
    """Three stages of search and a race of the finalists, as one pure object.

    It keeps no state that a restart would miss: every answer is a function of the arguments, and only the
    Gaussian process' fitted hyperparameters are kept between calls, for speed.

    Args:
        space: What the user asked for.
        goal: Whether more is better.
        budgets: Runs of each stage.
        finalists: How many of stage 3's runs, its last ones, train contenders again.
        defaults: The trainer's own values of the swept parameters; one more contender.
        first: Those that stage 1 trains first; None where it does not.
        again: Those that stage 3 trains in its last run; None where it does not. With finalists they race instead.
        stage1: How stage 1 is filled.
        resolution: Values a parameter in stage 1's grid.
        seed: Of all draws.
    """

    def __init__(
        self,
        space: SearchSpace,
        goal: Goal,
        budgets: tuple[int, int, int],
        finalists: int = 0,
        defaults: Config | None = None,
        stage1: Stage1Method = "auto",
        resolution: int = 5,
        seed: int = 0,
        first: Config | None = None,
        again: Config | None = None,
    ) -> None:
        self._space = space
        self._goal: Goal = goal
        self._budgets = budgets
        self._finalists = finalists
        self._stage1: Stage1Method = stage1
        self._resolution = resolution
        self._seed = seed
        self._first = first
        self._again = None if finalists else again
        self._model = GaussianProcessSearch(space, goal, seed)
        self._race = FinalistRace(self._model, space, defaults, goal)

    def plan_stage1(self) -> list[Config]:
        """Stage 1's configs, all of them.

        Raises:
            BudgetError: A grid was asked for that does not fit.
        """
        return plan_stage1(self._space, self._stage1, self._resolution, self._budgets[0], self._seed, self._first)

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
            and (evaluation.config != self._first or self._space.contains(evaluation.config))
        ]  # fmt: skip
        importance = measure_importance(self._space, evaluations, self._goal, self._seed)
        return narrow(self._space, current, select_top(ended, self._goal), WIDTHS[stage], importance)

    def propose(
        self,
        stage: Literal[2, 3],
        box: SearchSpace,
        evaluations: Sequence[Evaluation],
        pending: Sequence[Proposal],
        used: int,
        count: int,
    ) -> list[Proposal]:
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
        left = min(count, self._budgets[stage - 1] - used)
        race_from = self._budgets[2] - self._finalists if stage == 3 else self._budgets[1]
        searching = max(0, min(left, race_from - used))
        configs = [proposal.config for proposal in pending]
        last = self._choose_last(evaluations, configs) if stage == 3 and searching and used + left >= race_from else []
        proposals: list[Proposal] = []
        if searching > len(last):
            found = self._model.propose(box, evaluations, configs, searching - len(last))
            proposals += [Proposal(config=config) for config in found]
        proposals += [Proposal(config=config) for config in last]
        if left > searching:
            racing = [proposal.config for proposal in pending if proposal.finalist]
            remaining = self._budgets[2] - used - searching
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
