"""Multiples of a step, written with as many digits as the step has."""

import math
from collections.abc import Callable


def quantize(value: float, step: float) -> float:
    """Return the multiple of a step nearest to a value; an int where the step is whole."""
    rounded = round(value / step) * step
    # 3 * 0.1 is 0.30000000000000004: as many digits as the step has.
    rounded = round(rounded, max(0, 12 - math.floor(math.log10(step))))
    return int(rounded) if step.is_integer() else rounded


def find_multiples(low: float, high: float, step: float) -> tuple[int, int] | None:
    """Find the first and the last multiple of a step within bounds, as how many steps; None where there is none."""
    try:
        first, last = _round(low / step, math.ceil), _round(high / step, math.floor)
    except OverflowError:
        return None
    return (first, last) if first <= last else None


def _round(count: float, direction: Callable[[float], int]) -> int:
    # 0.3 / 0.1 is 2.9999999999999996.
    nearest = round(count)
    return nearest if math.isclose(count, nearest, rel_tol=1e-9) else direction(count)
