"""Which runs lead."""

import math
from collections.abc import Iterable

from multistage.domain.runs.results import Evaluation, Goal


def rank(evaluations: Iterable[Evaluation], goal: Goal) -> list[Evaluation]:
    """Finished runs with a finite value, best first; the earlier one first where values are equal.

    Runs that failed, were stopped early, or ended with a missing, NaN or infinite value never lead.
    """
    sign = -1.0 if goal == "maximize" else 1.0
    keyed = [
        (sign * evaluation.value, evaluation.stage, evaluation.index, evaluation)
        for evaluation in evaluations
        if evaluation.outcome == "finished" and evaluation.value is not None and math.isfinite(evaluation.value)
    ]
    return [entry[-1] for entry in sorted(keyed, key=lambda entry: entry[:3])]


def select_top(
    evaluations: Iterable[Evaluation], goal: Goal, share: float = 0.10, minimum: int = 5
) -> list[Evaluation]:
    """The best ``share`` of the ranked runs, and at least ``minimum`` of them where there are so many."""
    ranked = rank(evaluations, goal)
    return ranked[: max(minimum, round(share * len(ranked)))]
