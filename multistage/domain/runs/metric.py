"""What a run's value is: ``--metric-value last|best|mean:N``, and how a metric is read from what a run has logged."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from multistage.domain.model import Model
from multistage.domain.runs.results import Goal
from multistage.domain.runs.values import is_finite
from multistage.errors import UsageError

_LESS_IS_BETTER = re.compile(r"(^|[_./-])(loss|error|err|mse|mae|rmse|nll|perplexity)([_./-]|$)", re.IGNORECASE)
_MORE_IS_BETTER = re.compile(
    r"(^|[_./-])(acc|accuracy|reward|rew|ep_rew|episodic_return|return|score|auc|f1)([_./-]|$)", re.IGNORECASE
)
EVALUATION = re.compile(r"(^|[_./-])(val|valid|validation|eval|evaluation|dev|test)([_./-]|$)", re.IGNORECASE)
"""Names of what is measured beside the training."""


class MetricValue(Model):
    """How a run's history of the metric becomes its one value; ``str()`` gives the option's text back."""

    kind: Literal["last", "best", "mean"] = "last"
    window: int = Field(default=1, ge=1)
    """Number of last logged values that a mean takes."""

    def __str__(self) -> str:
        return f"mean:{self.window}" if self.kind == "mean" else self.kind


def parse_metric_value(text: str) -> MetricValue:
    """Read the option.

    Raises:
        UsageError: The text is neither ``last``, ``best`` nor ``mean:N`` with N of at least 1.
    """
    if text in ("last", "best"):
        return MetricValue(kind="last" if text == "last" else "best")
    found = re.fullmatch(r"mean:([1-9]\d*)", text)
    if found is None:
        raise UsageError(f"{text!r} is not a way to value a run.", "Use `last`, `best` or `mean:N`, such as `mean:10`.")
    return MetricValue(kind="mean", window=int(found[1]))


def extract_value(history: Sequence[float], summary: float | None, how: MetricValue, goal: Goal) -> float | None:
    """A run's value.

    Args:
        history: The metric's logged values, oldest first; empty where the history was not fetched (``last``
            needs none).
        summary: The metric in the run's summary: its last logged value, or what the program put there.
        how: The option.
        goal: Which of the logged values is the best.

    Returns:
        The value, or None where the metric was never logged. ``best`` passes over NaN and infinite values
        where there is a finite one; ``last`` and ``mean`` tell them as they are, since a run that diverged
        has no good last value.
    """
    if how.kind == "last":
        return summary if summary is not None else (history[-1] if history else None)
    if not history:
        return summary
    if how.kind == "best":
        finite = [value for value in history if math.isfinite(value)]
        choose = max if goal == "maximize" else min
        return choose(finite) if finite else history[-1]
    window = history[-how.window :]
    return math.fsum(window) / len(window) if all(map(math.isfinite, window)) else math.nan


def guess_goal(metric: str) -> Goal | None:
    """Infer from a metric's name which way is better; None where it shows neither, or both."""
    less, more = _LESS_IS_BETTER.search(metric), _MORE_IS_BETTER.search(metric)
    if bool(less) == bool(more):
        return None
    return "minimize" if less else "maximize"


def suggest_metric(logged: Sequence[str], goal: Goal) -> tuple[str, Goal]:
    """Suggest which logged key may be meant, and its goal: an evaluation before training, a return before a loss.

    Args:
        logged: The keys; at least one.
        goal: Where the name does not tell.
    """

    def rate(key: str) -> tuple[bool, bool, bool]:
        better = guess_goal(key)
        return better is None, not EVALUATION.search(key), better == "minimize"

    best = min(logged, key=rate)
    return best, guess_goal(best) or goal


def look_up(row: Mapping[str, Any], key: str) -> Any:
    """A row's value of a metric: the key as it is, or else a nested value of that path; None where it has none."""
    if key in row:
        return row[key]
    value: Any = row
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def read_metric(summary: Mapping[str, Any], metric: str, goal: str) -> float | None:
    """Read a metric from a run's summary.

    A metric's name may be one flat key with slashes or dots, or a path into nested dicts. Where the training asked for
    another summary (`define_metric`), the entry is a dict such as ``{"min": 0.1}``: the goal's own end is taken, else
    the last, else whichever there is. W&B writes NaN and infinities as strings.
    """
    found = look_up(summary, metric)
    if isinstance(found, Mapping):
        end = "max" if goal == "maximize" else "min"
        found = next((found[key] for key in (end, "last", "best", "mean", "min", "max") if key in found), None)
    if isinstance(found, str) and found in ("NaN", "Infinity", "-Infinity"):
        return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}[found]
    return read_logged_number(found)


def read_logged_number(value: Any) -> float | None:
    """Read a number; None for anything else, True and False included. What no float holds is infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isinstance(value, float) or is_finite(value) else math.copysign(math.inf, value > 0 or -1)
