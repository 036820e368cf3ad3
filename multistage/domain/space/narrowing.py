"""From the ranges of one stage to those of the next."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np

from multistage.domain.model import Model
from multistage.domain.runs.results import Evaluation, Value
from multistage.domain.space.multiples import quantize
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    NumericParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.domain.space.search_space import SearchSpace

Edge = Literal["none", "low", "high", "both"]

WIDTHS: Mapping[int, float] = MappingProxyType({2: 2.0, 3: 1.0})
"""Standard deviations to each side of the leaders' mean, by the stage whose box they bound."""
SMALLEST_SHARE = 0.05
"""A range of real numbers keeps at least this share of its current width: leading configs that agree by
chance must not end the search for that parameter."""


class Importance(Model):
    """What is known of one hyperparameter's importance."""

    share: float
    """Its part of the importance of all; they sum to 1."""
    matters: bool
    """Whether it is above what chance shows."""


class ParameterNarrowing(Model):
    """What became of one parameter's range, and why."""

    name: str
    before: tuple[Value, ...]
    """Bounds or choices of the stage that ended."""
    after: tuple[Value, ...]
    """Bounds or choices of the stage that comes."""
    edge: Edge = "none"
    """At which of the first bounds the leading configs push: a wider first range might hold better ones."""
    importance: float | None = None
    """Its part of the importance of all; None where too few runs tell."""
    evidence: str
    """One sentence for people."""


class Narrowing(Model):
    """The next stage's space, and a note on each parameter."""

    space: SearchSpace
    notes: tuple[ParameterNarrowing, ...]


def narrow(
    first: SearchSpace,
    current: SearchSpace,
    top: Sequence[Evaluation],
    width: float,
    importance: Mapping[str, Importance] = MappingProxyType({}),
) -> Narrowing:
    """The ranges in which the leading configs lie.

    Each numeric range becomes the mean of the leading configs plus and minus ``width`` standard deviations,
    both on the parameter's own scale, within the *first* bounds: a range may move or widen again where the
    leaders do. It is never empty: real numbers keep a small share of the current width, whole numbers a step
    to each side. Choices are those seen among the leaders; where they do not matter they are left alone, since which
    of them the leaders have is chance. Ranges that do not matter narrow all the same: left alone they were measured to
    be no better (`benchmarks/RESULTS.md`).

    Args:
        first: The space that the user asked for.
        current: The space of the stage that ended.
        top: The leading runs; where there are none, nothing changes.
        width: Standard deviations to each side of the mean.
        importance: What is known of each parameter's importance, by name; those without count as important.
    """
    narrowed: list[Parameter] = []
    notes: list[ParameterNarrowing] = []
    for parameter in current.parameters:
        values = [evaluation.config[parameter.name] for evaluation in top]
        known = importance.get(parameter.name)
        after, edge, evidence = _narrow_parameter(first[parameter.name], parameter, values, width, known)
        narrowed.append(after)
        notes.append(
            ParameterNarrowing(
                name=parameter.name,
                before=tuple(parameter.bounds),
                after=tuple(after.bounds),
                edge=edge,
                importance=known.share if known else None,
                evidence=evidence,
            )
        )
    return Narrowing(space=SearchSpace(parameters=tuple(narrowed)), notes=tuple(notes))


def _narrow_parameter(
    first: Parameter, current: Parameter, values: list[Value], width: float, known: Importance | None
) -> tuple[Parameter, Edge, str]:
    if first.size == 1:
        return first, "none", f"{first.name} has one value only, {_show(first.bounds[0])}."
    if not values:
        return current, "none", f"{current.name} stays as it was: no run has a value to go by."
    weight = _weigh(known)
    if isinstance(first, CategoricalParameter):
        if known is not None and not known.matters:
            assert isinstance(current, CategoricalParameter)  # noqa: S101 - no narrowing changes a kind
            return current, "none", f"{current.name} is left alone at {_show_range(current)}{weight}."
        seen = tuple(choice for choice in first.choices if choice in values)
        kept = first.model_copy(update={"choices": seen})
        return kept, "none", _explain_choices(first, kept, values) + weight + "."
    assert not isinstance(current, CategoricalParameter)  # noqa: S101 - no narrowing changes a kind
    scaled = np.array([first.to_scale(value) for value in values])
    mean, spread = float(scaled.mean()), float(scaled.std())
    low, high = _bound(first, current, mean - width * spread, mean + width * spread)
    after = first.model_copy(update={"low": low, "high": high})
    edge = _find_edge(first, mean, spread)
    return after, edge, _explain_range(first, current, after, values, mean, spread, edge) + weight + "."


def _bound(first: NumericParameter, current: NumericParameter, low: float, high: float) -> tuple[Value, Value]:
    """Bounds nearest to two positions on the scale that lie within the first ones and are never equal."""
    if isinstance(first, FloatParameter):
        least, most = first.extent
        start, end = current.extent
        room = max(SMALLEST_SHARE * (end - start), SMALLEST_SHARE**2 * (most - least))
        middle = min(max((low + high) / 2, least), most)
        # At a bound the whole of the room lies on the inner side.
        low = min(low, max(middle - room / 2, least), most - room)
        high = max(high, min(middle + room / 2, most), least + room)
        low, high = first.from_scale(low), first.from_scale(high)
        if first.step is not None and low == high:
            below, above = (quantize(low + offset, first.step) for offset in (-first.step, first.step))
            return max(below, first.low), min(above, first.high)
        # No number lies between bounds that are as near as numbers can be.
        return (low, high) if low < high else (current.low, current.high)
    lowest, highest = first.from_scale(low), first.from_scale(high)
    if lowest == highest:
        steps = (
            (int(lowest) // 2, int(lowest) * 2)
            if isinstance(first, PowerOfTwoParameter)
            else (
                int(lowest) - 1,
                int(lowest) + 1,
            )
        )
        return max(steps[0], int(first.low)), min(steps[1], int(first.high))
    return lowest, highest


def _find_edge(first: NumericParameter, mean: float, spread: float) -> Edge:
    """The bound within a standard deviation of the leaders' mean, give or take a twentieth of the range."""
    least, most = first.extent
    margin = spread + SMALLEST_SHARE * (most - least)
    at_low, at_high = mean - margin < least, mean + margin > most
    if at_low and at_high:
        return "both"
    return "low" if at_low else "high" if at_high else "none"


def _weigh(known: Importance | None) -> str:
    if known is None:
        return ""
    if known.matters:
        return f", and it has {known.share:.0%} of the importance"
    return f", and its {known.share:.0%} of the importance is no more than chance shows"


def _show(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _show_range(parameter: NumericParameter | CategoricalParameter) -> str:
    shown = [_show(value) for value in parameter.bounds]
    return " or ".join(shown) if isinstance(parameter, CategoricalParameter) else "..".join(shown)


def _explain_choices(first: CategoricalParameter, after: CategoricalParameter, values: list[Value]) -> str:
    counts = ", ".join(f"{choice} ({values.count(choice)})" for choice in after.choices)
    dropped = [str(choice) for choice in first.choices if choice not in after.choices]
    rest = f", while {' and '.join(dropped)} did not lead" if dropped else ""
    return f"{first.name} keeps what the top {len(values)} configs use, {counts}{rest}"


def _explain_range(
    first: NumericParameter,
    current: NumericParameter,
    after: NumericParameter,
    values: list[Value],
    mean: float,
    spread: float,
    edge: Edge,
) -> str:
    (start, end), (new_start, new_end) = current.extent, after.extent
    moved = f"{first.name} goes from {_show_range(current)} to {_show_range(after)}"
    if after.bounds == current.bounds:
        moved = f"{first.name} stays at {_show_range(after)}"
    elif new_end - new_start > end - start:
        moved = f"{first.name} widens from {_show_range(current)} to {_show_range(after)}"
    match first:
        case PowerOfTwoParameter():
            centre, about = 2.0**mean, f"give or take a factor of {2.0**spread:.3g}"
        case FloatParameter(scale="log") | IntParameter(scale="log"):
            centre, about = math.exp(mean), f"give or take a factor of {math.exp(spread):.3g}"
        case _:
            centre, about = mean, f"give or take {spread:.3g}"
    pinned = {
        "none": "",
        "low": f", pinned at the lower bound {first.low:g}, below which better ones may lie",
        "high": f", pinned at the upper bound {first.high:g}, above which better ones may lie",
        "both": ", from bound to bound",
    }
    return f"{moved}: the top {len(values)} configs centre on {centre:.4g}, {about}{pinned[edge]}"
