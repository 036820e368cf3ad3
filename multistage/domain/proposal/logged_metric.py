"""What a run that was seen logged, and which of its keys the sweep is judged by."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from multistage.domain.model import Model
from multistage.domain.runs.metric import EVALUATION, guess_goal, read_logged_number
from multistage.domain.runs.results import Goal

ENOUGH_ROWS = 3
"""Values of a metric by which its curve is known."""

_TEST = re.compile(r"(^|[_./-])test([_./-]|$)", re.IGNORECASE)
_NO_METRIC = re.compile(
    r"(^|[_./-])(step|steps|epoch|epochs|global_step|iter|iters|iteration|iterations|time|timesteps?|seconds?|runtime|"
    r"duration|sps|fps|lr|learning_rate|samples_per_second|steps_per_second|it_per_sec|throughput|memory|mem|flos|"
    r"total_flos|grad_norm|norm|rank|world_size|updates?|n_updates|episodes?|episode|length|ep_len_mean|"
    r"episodic_length|samples|tokens|timestamp|epsilon|gpu|cpu|batch|count|progress)([_./-]|$)",
    re.IGNORECASE,
)

Rows = Sequence[Mapping[str, float]]
"""What a run logged, a mapping a row, flat."""


class MetricGuess(Model):
    """A key to optimize, and how that was told."""

    metric: str
    goal: Goal
    reason: str
    """In a clause."""
    certain: bool
    """Whether its name says both that it judges a training, and which way is better."""


def flatten_numbers(row: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of a row or a summary, nested ones by their paths with dots; W&B's own keys are kept.

    Args:
        row: As W&B's client gives it.
        prefix: Of the names.
    """
    flat: dict[str, float] = {}
    for key, value in row.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and "_type" in value:  # a picture, a table, a histogram
            continue
        if isinstance(value, Mapping):
            flat |= flatten_numbers(value, f"{name}.")
        elif (number := read_logged_number(value)) is not None:
            flat[name] = number
    return flat


def join_summary(rows: Iterable[Mapping[str, Any]], summary: Mapping[str, Any]) -> tuple[dict[str, float], ...]:
    """Return what a run logged as numbers; what stands in its summary alone is one row more.

    Args:
        rows: As W&B's client gives them.
        summary: Likewise.
    """
    flat = [row for row in map(flatten_numbers, rows) if row]
    seen = {key for row in flat for key in row}
    rest = flatten_numbers({key: value for key, value in summary.items() if key not in seen})
    rest = {key: value for key, value in rest.items() if key not in seen}
    return (*flat, rest) if rest else tuple(flat)


def list_curves(rows: Rows) -> dict[str, list[float]]:
    """List what each key was logged as, W&B's own keys left out."""
    curves: dict[str, list[float]] = {}
    for row in rows:
        for key, value in row.items():
            if not key.startswith("_"):
                curves.setdefault(key, []).append(value)
    return curves


def guess_metric(rows: Rows) -> MetricGuess | None:
    """Guess what a script is judged by: an evaluation before training, a return or an accuracy before a loss.

    Args:
        rows: What it logged.

    Returns:
        None where it logged no number that could judge a training.
    """
    curves = {key: values for key, values in list_curves(rows).items() if not _is_counter(key, values)}
    if not curves:
        return None
    key = min(curves, key=lambda one: _rate(one, curves[one]))
    named, values = guess_goal(key), curves[key]
    goal: Goal = named or ("minimize" if values[-1] < values[0] else "maximize")
    told = "by its name" if named else "by its curve, which its name does not say" if len(values) > 1 else "a guess"
    return MetricGuess(metric=key, goal=goal, reason=f"{_count(values)}; {goal} {told}", certain=named is not None)


def has_seen_enough(rows: Rows) -> bool:
    """Return whether the metric is known, so that a run need not go on to tell it."""
    guess = guess_metric(rows)
    if guess is None or not guess.certain:
        return False
    is_judging = EVALUATION.search(guess.metric) is not None or guess.goal == "maximize"
    return is_judging and len(list_curves(rows)[guess.metric]) >= ENOUGH_ROWS


def list_others(rows: Rows, metric: str) -> tuple[str, ...]:
    """List the other keys that could be meant."""
    curves = list_curves(rows)
    return tuple(sorted(key for key, values in curves.items() if key != metric and not _is_counter(key, values)))


def _rate(key: str, values: Iterable[float]) -> tuple[bool, bool, bool, bool, bool, int, str]:
    better = guess_goal(key)
    return (
        better is None,
        not EVALUATION.search(key),
        _TEST.search(key) is not None,
        better == "minimize",
        len(set(values)) == 1,
        len(key),
        key,
    )


def _is_counter(key: str, values: Sequence[float]) -> bool:
    """Return what only counts or measures the run: by its name, or by whole numbers that rise evenly."""
    if guess_goal(key) is not None:
        return False
    steps = {after - before for before, after in pairwise(values)}
    is_even = len(values) > 2 and len(steps) == 1 and min(steps) > 0
    return _NO_METRIC.search(key) is not None or (is_even and all(value % 1 == 0 for value in values))


def _count(values: Sequence[float]) -> str:
    return f"logged {len(values)} time{'s' if len(values) != 1 else ''}"
