"""What every searcher is, this project's own and those of others.

A searcher of one's own is a class in an installed package, named as an entry point of the group
``multistage.searchers``. Most inherit `multistage.search.multistage.StagedSearch` and say one thing, which configs come
next; `multistage.search.conformance` tells whether a searcher keeps its promises.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Evaluation, Goal
from multistage.domain.space.narrowing import Narrowing
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import Stage1Method

if TYPE_CHECKING:  # it brings the model of the finalists' race, which costs seconds to import
    from multistage.search.finalists import Recommendation


class Proposal(Model):
    """A config to train."""

    config: Config
    finalist: bool = False
    """Whether it is a contender that trains again on a fresh seed."""


class SearchProblem(Model):
    """What a searcher is given, once; everything else it is told with each question."""

    space: SearchSpace
    """What the user asked for."""
    goal: Goal
    """Whether more is better."""
    budgets: tuple[int, int, int]
    """Runs of each stage."""
    finalists: int = 0
    """How many of stage 3's runs, its last ones, train contenders again."""
    defaults: Config | None = None
    """The trainer's own values of the swept parameters; one more contender."""
    stage1: Stage1Method = "auto"
    """How stage 1 is filled."""
    resolution: int = 5
    """Values a parameter in stage 1's grid."""
    seed: int = 0
    """Of all draws."""
    first: Config | None = None
    """The defaults where stage 1 trains them first; None where it does not. They may lie outside the space."""
    prior: tuple[Config, ...] = ()
    """Configs within the space that other trainings speak for, the most promising first."""
    again: Config | None = None
    """The defaults where stage 3 trains them in its last run; None where it does not. With finalists they race
    instead."""


class Searcher(Protocol):
    """Plans, narrows, proposes and recommends, for one sweep.

    It keeps no state that a restart would miss: every answer is a function of the problem and of the arguments, so that
    a sweep that was killed goes on as if it had not been. Whatever it keeps is for speed.
    """

    def plan(self) -> Sequence[Config]:
        """Return stage 1's configs, all of them, in the order in which they are trained.

        Returns:
            As many as stage 1 has runs: the problem's ``first`` before all others, then its ``prior`` in up to half of
            them, then by its ``stage1``. With ``grid`` the grid's and no others; with ``auto`` the grid's among them,
            where it fits in what is left.

        Raises:
            BudgetError: A grid was asked for that does not fit.
        """
        ...

    def narrow(self, stage: Literal[2, 3], evaluations: Sequence[Evaluation], current: SearchSpace) -> Narrowing:
        """Return the box that stage 2 or 3 searches, within the problem's space.

        Args:
            stage: The stage that comes.
            evaluations: All used slots so far.
            current: The box of the stage that ended.
        """
        ...

    def propose(
        self,
        stage: Literal[2, 3],
        box: SearchSpace,
        evaluations: Sequence[Evaluation],
        pending: Sequence[Proposal],
        used: int,
        count: int,
    ) -> Sequence[Proposal]:
        """Say what to train next in stage 2 or 3.

        Args:
            stage: The stage under way.
            box: Its ranges: those of `narrow`, or what a person made of them.
            evaluations: All used slots of all stages, in the order of stages and slots.
            pending: This stage's slots that are queued or running.
            used: How many of the stage's slots were handed out so far, pending ones included.
            count: How many are wanted.

        Returns:
            Exactly ``count`` proposals, or as many as the stage's budget has left. All lie in the box, apart from
            finalists and the problem's ``again``. A race of finalists in which nothing has a value proposes none.
        """
        ...

    def recommend(self, evaluations: Sequence[Evaluation]) -> "Recommendation | None":
        """Return the config that the sweep stands for; None where nothing finished with a finite value."""
        ...


class SearcherKind(Protocol):
    """What an entry point names: makes searchers. A class with the method `check` is one."""

    def check(self, variant: str) -> None:
        """Refuse a variant that there is not, before anything is started.

        Args:
            variant: What follows the colon of ``--search name:variant``; empty where nothing does.

        Raises:
            UsageError: There is no such variant.
        """
        ...

    def __call__(self, problem: SearchProblem, variant: str) -> Searcher:
        """Make the searcher of one sweep."""
        ...
