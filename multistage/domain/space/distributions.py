"""The parameters of a W&B sweep: every documented distribution, as a map from the unit interval to values.

Random search draws from the unit interval, Bayesian search works in it (a distribution's own quantiles are its
scale), and the grid takes the values of those that have finitely many.

Source: https://docs.wandb.ai/guides/sweeps/sweep-config-keys
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

from multistage.domain.runs.values import require_number
from multistage.domain.space.multiples import find_multiples, quantize
from multistage.domain.space.specifications import correct_spec
from multistage.errors import SpaceError

MAX_VALUES = 100_000

BOUNDED = {
    "uniform",
    "int_uniform",
    "q_uniform",
    "log_uniform",
    "log_uniform_values",
    "q_log_uniform",
    "q_log_uniform_values",
    "inv_log_uniform",
    "inv_log_uniform_values",
}
BELL = {"normal", "q_normal", "log_normal", "q_log_normal"}
BETA = {"beta", "q_beta"}
CHOICE = {"categorical", "categorical_w_probabilities"}
DISTRIBUTIONS = {"constant", *CHOICE, *BOUNDED, *BELL, *BETA}
TINIEST = 1e-300
"""Below it the inverse of the beta distribution is not defined."""
TAIL = 1e-6
"""Quantiles of an unbounded distribution that are drawn at most."""


@dataclass(frozen=True)
class SweepParameter:
    """One parameter of a sweep.

    Args:
        path: The keys that lead to it; more than one where it is nested.
        values: Every value, where they are finitely many; else empty.
        weights: The values' probabilities; empty where all are alike.
        draw: The value at a place in the unit interval, for a range.
        place: The inverse of ``draw``.
        kind: The distribution's name.
        step: What the values are multiples of; None where they are not quantized.
        notes: What it says otherwise than its author's words, a sentence each.
    """

    path: tuple[str, ...]
    values: tuple[Any, ...] = ()
    weights: tuple[float, ...] = ()
    draw: Callable[[float], Any] | None = None
    place: Callable[[float], float] | None = None
    kind: str = "constant"
    step: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(self.path)

    @property
    def is_range(self) -> bool:
        """Whether it is searched as a range, rather than as a set of values without an order."""
        return self.draw is not None

    def pick(self, unit: float) -> Any:
        """The value at a place in the unit interval."""
        if self.draw is not None:
            return self.draw(min(max(unit, 0.0), 1.0))
        if not self.weights:
            return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]
        total = 0.0
        for value, weight in zip(self.values, self.weights, strict=True):
            total += weight
            if unit < total:
                return value
        return self.values[-1]


def parse_parameters(parameters: Any, prefix: tuple[str, ...] = ()) -> list[SweepParameter]:
    """The ``parameters`` section of a sweep's config.

    Raises:
        SpaceError: A parameter is malformed; says which, and how to fix it.
    """
    if not isinstance(parameters, Mapping) or not parameters:
        name = f"The parameter {'.'.join(prefix)}" if prefix else "The sweep"
        raise SpaceError(f"{name} has no parameters.", "Name at least one under `parameters`.")
    found: list[SweepParameter] = []
    for key, spec in parameters.items():
        path = (*prefix, str(key))
        if not isinstance(spec, Mapping):
            raise SpaceError(
                f"The parameter {'.'.join(path)} is {spec!r}.", "Write `value: ...`, `values: [...]`, or bounds."
            )
        if "parameters" in spec:
            found.extend(parse_parameters(spec["parameters"], path))
        else:
            fixed, notes = correct_spec(".".join(path), spec)
            found.append(replace(_parse(path, fixed), notes=notes))
    return found


def _parse(path: tuple[str, ...], spec: Mapping[str, Any]) -> SweepParameter:
    name = ".".join(path)
    kind = spec.get("distribution") or _guess(name, spec)
    if kind not in DISTRIBUTIONS:
        known = ", ".join(sorted(DISTRIBUTIONS))
        raise SpaceError(f"The parameter {name} has the unknown distribution {kind!r}.", f"Known are {known}.")
    if kind == "constant":
        if "value" not in spec:
            raise SpaceError(f"The constant parameter {name} has no value.", "Give it `value`.")
        return SweepParameter(path, (spec["value"],))
    if kind in CHOICE:
        return replace(_parse_choice(path, spec), kind=kind)
    parsed = _parse_range(path, kind, spec) if kind in BOUNDED else _parse_shape(path, kind, spec)
    return replace(parsed, kind=kind, step=_read_step(name, kind, spec))


def _guess(name: str, spec: Mapping[str, Any]) -> str:
    if "values" in spec:
        return "categorical_w_probabilities" if "probabilities" in spec else "categorical"
    if "value" in spec:
        return "constant"
    if "min" in spec and "max" in spec:
        kinds = {type(spec["min"]), type(spec["max"])}  # two kinds of number have become one
        if kinds == {int}:
            return "int_uniform"
        if kinds == {float}:
            return "uniform"
        raise SpaceError(
            f"The parameter {name} has the bounds {spec['min']!r} and {spec['max']!r}.",
            "Write both as numbers, or name a distribution.",
        )
    raise SpaceError(
        f"The parameter {name} has neither a value, values, nor both bounds.",
        "Give it `value`, `values`, or `min` and `max`.",
    )


def _parse_choice(path: tuple[str, ...], spec: Mapping[str, Any]) -> SweepParameter:
    name = ".".join(path)
    values = spec.get("values")
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise SpaceError(f"The categorical parameter {name} has no values.", "Give it `values: [...]`.")
    weights = spec.get("probabilities")
    if weights is None:
        return SweepParameter(path, tuple(values))
    if (
        not isinstance(weights, Sequence)
        or len(weights) != len(values)
        or not all(require_number(weight) is not None and weight >= 0 for weight in weights)
        or not math.isclose(sum(weights), 1.0, abs_tol=1e-6)
    ):
        raise SpaceError(
            f"The parameter {name} has {len(values)} values and the probabilities {weights!r}.",
            "Give one probability a value, summing to 1.",
        )
    return SweepParameter(path, tuple(values), tuple(map(float, weights)))


def _parse_range(path: tuple[str, ...], kind: str, spec: Mapping[str, Any]) -> SweepParameter:
    name = ".".join(path)
    low, high = (_read_number(name, kind, spec, bound) for bound in ("min", "max"))
    if low > high:
        raise SpaceError(f"The parameter {name} has its minimum {low:g} above its maximum {high:g}.", "Swap them.")
    if kind == "int_uniform":
        if low != int(low) or high != int(high):
            raise SpaceError(f"The parameter {name} has bounds that are not integers.", "Use `uniform`, or integers.")
        first, count = int(low), int(high) - int(low) + 1
        values = tuple(range(first, first + count)) if count <= MAX_VALUES else ()
        return SweepParameter(
            path,
            values,
            draw=lambda unit: first + min(int(unit * count), count - 1),
            place=lambda value: (value - first + 0.5) / count,
        )
    if kind in ("log_uniform", "q_log_uniform", "inv_log_uniform"):
        if max(abs(low), abs(high)) > 700:
            raise SpaceError(
                f"The parameter {name} has the exponents {low:g} and {high:g}.",
                "They are powers of e; for bounds that are values, use `log_uniform_values`.",
            )
        start, end = low, high
    elif kind.endswith("_values"):
        if low <= 0:
            raise SpaceError(
                f"The parameter {name} is on a log scale, and its minimum {low:g} is not above 0.",
                "Use a positive minimum, or `uniform`.",
            )
        start, end = math.log(low), math.log(high)
    else:
        return _make_range(path, kind, spec, lambda value: value, lambda place: place, low, high)
    if kind.startswith("inv_"):
        # Uniform in the logarithm of the inverse, of which exponents are the bounds.
        ends = (-end, -start) if kind.endswith("_values") else (start, end)
        return _make_range(path, kind, spec, lambda value: -math.log(value), lambda place: math.exp(-place), *ends)
    return _make_range(path, kind, spec, math.log, math.exp, start, end)


def _make_range(
    path: tuple[str, ...],
    kind: str,
    spec: Mapping[str, Any],
    to_scale: Callable[[float], float],
    from_scale: Callable[[float], float],
    start: float,
    end: float,
) -> SweepParameter:
    low, high = sorted((from_scale(start), from_scale(end)))
    if kind.endswith("_values"):  # and back from the scale they may have gained a last digit
        low, high = float(spec["min"]), float(spec["max"])
    step = _read_step(".".join(path), kind, spec)
    multiples = (0, 0) if step is None else _find_multiples(".".join(path), low, high, step)

    def draw(unit: float) -> float:
        value = min(max(from_scale(start + unit * (end - start)), low), high)
        return value if step is None else _quantize(value, step, *multiples)

    def place(value: float) -> float:
        bounded = min(max(value, low), high)
        return (to_scale(bounded) - start) / (end - start) if end > start else 0.5

    values: tuple[float, ...] = ()
    if step is not None and multiples[1] - multiples[0] <= MAX_VALUES:
        values = tuple(quantize(index * step, step) for index in range(multiples[0], multiples[1] + 1))
    elif low == high:
        values = (low,)
    return SweepParameter(path, values, draw=draw, place=place)


def _parse_shape(path: tuple[str, ...], kind: str, spec: Mapping[str, Any]) -> SweepParameter:
    name = ".".join(path)
    step = _read_step(name, kind, spec)
    if kind in BETA:
        alpha, beta = (_read_number(name, kind, spec, key) for key in ("a", "b"))
        if alpha <= 0 or beta <= 0:
            raise SpaceError(f"The parameter {name} has a={alpha:g} and b={beta:g}.", "Both must be above 0.")

        def quantile(unit: float) -> float:
            from scipy.special import betaincinv

            if not TINIEST < unit < 1:  # the ends, at which it may give NaN
                return round(unit)
            return float(betaincinv(alpha, beta, unit))

        def share(value: float) -> float:
            from scipy.special import betainc

            return float(betainc(alpha, beta, min(max(value, 0.0), 1.0)))

    else:
        mu = _read_number(name, kind, spec, "mu", 0.0)
        sigma = _read_number(name, kind, spec, "sigma", 1.0)
        if sigma <= 0:
            raise SpaceError(f"The parameter {name} has sigma {sigma:g}.", "It must be above 0.")
        bell = NormalDist(mu, sigma)
        logarithmic = "log" in kind
        if logarithmic and mu + 6 * sigma > 700:
            raise SpaceError(f"The parameter {name} has mu {mu:g}.", "It is a power of e; choose a smaller one.")

        def quantile(unit: float) -> float:
            value = bell.inv_cdf(min(max(unit, TAIL), 1 - TAIL))
            return math.exp(value) if logarithmic else value

        def share(value: float) -> float:
            return bell.cdf(math.log(max(value, 1e-300)) if logarithmic else value)

    # A step must not lead out of what the distribution can give: above 0, or between 0 and 1.
    first = 1 if "log" in kind else 0 if kind in BETA else -math.inf
    last = math.inf if step is None or kind not in BETA else math.floor(1 / step + 1e-9)

    def draw(unit: float) -> float:
        return quantile(unit) if step is None else _quantize(quantile(unit), step, first, last)

    return SweepParameter(path, draw=draw, place=share)


def _find_multiples(name: str, low: float, high: float, step: float) -> tuple[int, int]:
    found = find_multiples(low, high, step)
    if found is None:
        raise SpaceError(
            f"The parameter {name} takes multiples of {step:g}, and none lies between {low:g} and {high:g}.",
            "Give it a smaller q, or wider bounds.",
        )
    return found


def _quantize(value: float, step: float, first: float, last: float) -> float:
    """Return the nearest multiple that is no further than the first and the last one, which are numbers of steps."""
    return quantize(min(max(round(value / step), first), last) * step, step)


def _read_number(name: str, kind: str, spec: Mapping[str, Any], key: str, default: float | None = None) -> float:
    value = spec.get(key, default)
    if value is None:
        raise SpaceError(f"The parameter {name} ({kind}) has no {key}.", f"Give it `{key}`.")
    number = require_number(value)
    if number is None:
        raise SpaceError(f"The parameter {name} has the {key} {value!r}.", "It must be a finite number.")
    return float(number)


def _read_step(name: str, kind: str, spec: Mapping[str, Any]) -> float | None:
    if not kind.startswith("q_"):
        return None
    step = _read_number(name, kind, spec, "q", 1.0)
    if step <= 0:
        raise SpaceError(f"The parameter {name} has q {step:g}.", "It must be above 0.")
    return step


def take_log(value: float, low: float, high: float, log: Callable[[float], float] = math.log) -> float:
    """Return the logarithm; what has none lies as far below the minimum as the maximum lies above it."""
    return log(value) if value > 0 else 2 * log(low) - log(high)
