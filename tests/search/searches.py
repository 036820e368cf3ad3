"""Searches for tests, in one line."""

from typing import Any

from multistage.domain.runs.results import Goal
from multistage.domain.space.search_space import SearchSpace
from multistage.search.base import SearchProblem
from multistage.search.searchers.gp import GaussianProcessSearcher


def make_search(
    space: SearchSpace, goal: Goal, budgets: tuple[int, int, int], finalists: int = 0, **more: Any
) -> GaussianProcessSearcher:
    """The product's own search; ``more`` is the rest of the problem."""
    return GaussianProcessSearcher(SearchProblem(space=space, goal=goal, budgets=budgets, finalists=finalists, **more))
