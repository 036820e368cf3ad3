"""Searches and races for tests, in one line."""

from collections.abc import Sequence
from typing import Any

from multistage.domain.runs.results import Config, Evaluation, Goal
from multistage.domain.space.search_space import SearchSpace
from multistage.search.base import SearchProblem
from multistage.search.finalists import FinalistRace, Recommendation
from multistage.search.gaussian_process import GaussianProcessSearch
from multistage.search.searchers.gp import GaussianProcessSearcher


def make_search(
    space: SearchSpace, goal: Goal, budgets: tuple[int, int, int], finalists: int = 0, **more: Any
) -> GaussianProcessSearcher:
    """The product's own search; ``more`` is the rest of the problem."""
    return GaussianProcessSearcher(SearchProblem(space=space, goal=goal, budgets=budgets, finalists=finalists, **more))


def make_race(space: SearchSpace, defaults: Config | None, goal: Goal, seed: int = 0) -> FinalistRace:
    """A race of the product's own model."""
    return FinalistRace(GaussianProcessSearch(space, goal, seed), space, defaults, goal)


def recommend(
    space: SearchSpace, evaluations: Sequence[Evaluation], defaults: Config | None, goal: Goal, seed: int = 0
) -> Recommendation | None:
    """What such a race recommends."""
    return make_race(space, defaults, goal, seed).recommend(evaluations)
