"""The kinds of hyperparameters.

Each numeric parameter has a *scale* on which it is searched, sampled, modelled and narrowed: the value
itself, its logarithm, or its power of two. The unit interval is that scale's extent; integers take the cell
around them, so that every integer has its share of the interval.
"""

import math
from abc import ABC, abstractmethod
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from multistage.domain.model import Model
from multistage.domain.runs.results import Value
from multistage.domain.space.distributions import take_log
from multistage.domain.space.multiples import quantize

Scale = Literal["linear", "log"]

DIGITS = 5
"""Floats are rounded to this many decimal digits of their range: nobody tunes finer, and configs stay readable."""


class NumericParameter(Model, ABC):
    """What the three numeric kinds share; not a kind itself."""

    name: str
    low: float
    high: float

    @property
    @abstractmethod
    def extent(self) -> tuple[float, float]:
        """Both ends of the unit interval on the parameter's scale."""

    @abstractmethod
    def to_scale(self, value: Value) -> float:
        """The value on the parameter's scale."""

    @abstractmethod
    def from_scale(self, position: float) -> Value:
        """The value nearest to a position on the parameter's scale, within the bounds."""

    @abstractmethod
    def snap(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions on the scale, moved to where the nearest possible values are (many at once)."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """Number of values; None for a continuous range."""

    @abstractmethod
    def list_values(self) -> list[Value]:
        """Every value of a parameter with a `size`; both bounds of one that has none."""

    def to_unit(self, value: Value) -> float:
        """The value's place in the unit interval; beyond it where the value is beyond the bounds."""
        start, end = self.extent
        return (self.to_scale(value) - start) / (end - start) if end > start else 0.5

    def from_unit(self, unit: float) -> Value:
        """The value at a place in the unit interval."""
        start, end = self.extent
        return self.from_scale(start + min(max(unit, 0.0), 1.0) * (end - start))

    def grid(self, resolution: int) -> list[Value]:
        """At most ``resolution`` distinct values, evenly spaced on the scale, both bounds among them."""
        if resolution == 1:
            return [self.from_unit(0.5)]
        positions = np.linspace(self.to_scale(self.low), self.to_scale(self.high), resolution)
        return list(dict.fromkeys(self.from_scale(float(position)) for position in positions))

    def contains(self, value: Value) -> bool:
        """Whether the value lies within the bounds and is of the right kind."""
        return _is_number(value) and self.low <= float(value) <= self.high

    @property
    def bounds(self) -> list[Value]:
        """``[low, high]``, as ``state.json`` has them."""
        return [self.low, self.high]

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and math.isfinite(self.high - self.low)):
            raise ValueError(f"{self.name} has a bound that is not a finite number.")
        if self.low > self.high:
            raise ValueError(f"{self.name} has its minimum {self.low:g} above its maximum {self.high:g}.")
        return self


class FloatParameter(NumericParameter):
    """A real number; on a log scale it is searched by its order of magnitude."""

    kind: Literal["float"] = "float"
    scale: Scale = "linear"
    step: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Its values are the multiples of this; both bounds are two of them. None: any number."""

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        _check_log(self.name, self.low, self.scale)
        if self.step is not None and any(quantize(bound, self.step) != bound for bound in (self.low, self.high)):
            raise ValueError(f"{self.name} has a bound that is not a multiple of {self.step:g}.")
        return self

    @property
    def extent(self) -> tuple[float, float]:
        """Both ends of the unit interval on the scale."""
        return self.to_scale(self.low), self.to_scale(self.high)

    @property
    def size(self) -> int | None:
        """Number of multiples of the step; without a step 1 where both bounds are equal, else None."""
        if self.step is not None:
            return round((self.high - self.low) / self.step) + 1
        return 1 if self.low == self.high else None

    def to_scale(self, value: Value) -> float:
        """The value, or its logarithm."""
        return take_log(float(value), self.low, self.high) if self.scale == "log" else float(value)

    def from_scale(self, position: float) -> float:
        """The possible value nearest to a position on the scale."""
        if self.scale == "log":
            value = math.exp(position)
            width = value * math.log(self.high / self.low)
        else:
            value, width = position, self.high - self.low
        if self.step is not None:
            value = quantize(value, self.step)
        elif width > 0:
            value = round(value, DIGITS - math.floor(math.log10(width)))
        return min(max(value, self.low), self.high)

    def snap(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions moved to the nearest possible ones."""
        if self.step is None:
            return np.clip(positions, *self.extent)
        values = np.exp(positions) if self.scale == "log" else positions
        values = np.clip(np.round(values / self.step) * self.step, self.low, self.high)
        return np.log(values) if self.scale == "log" else values

    def list_values(self) -> list[Value]:
        """Every multiple of its step; without one its bounds."""
        if self.step is not None and self.size is not None:
            return [quantize(self.low + index * self.step, self.step) for index in range(self.size)]
        return [self.low] if self.low == self.high else [self.low, self.high]

    def contains(self, value: Value) -> bool:
        """Whether it lies within the bounds, and is a multiple of the step where there is one."""
        return super().contains(value) and (
            self.step is None or math.isclose(quantize(float(value), self.step), float(value))
        )

    def describe(self) -> str:
        """One phrase for people."""
        kinds = ["log"] if self.scale == "log" else []
        if self.step is not None:
            kinds.append(f"multiples of {self.step:g}")
        return _describe(self.name, f"{self.low:g}", f"{self.high:g}", kinds)


class IntParameter(NumericParameter):
    """A whole number."""

    kind: Literal["int"] = "int"
    low: int
    high: int
    scale: Scale = "linear"

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        _check_log(self.name, self.low, self.scale)
        return self

    @property
    def extent(self) -> tuple[float, float]:
        """Both ends of the unit interval on the scale."""
        if self.low == self.high:
            return self.to_scale(self.low), self.to_scale(self.high)
        return self.to_scale(self.low - 0.5), self.to_scale(self.high + 0.5)

    @property
    def size(self) -> int | None:
        """Number of values."""
        return self.high - self.low + 1

    def to_scale(self, value: Value) -> float:
        """The value, or its logarithm."""
        return take_log(float(value), self.low, self.high) if self.scale == "log" else float(value)

    def from_scale(self, position: float) -> int:
        """The possible value nearest to a position on the scale."""
        value = math.exp(position) if self.scale == "log" else position
        return min(max(math.floor(value + 0.5), self.low), self.high)

    def snap(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions moved to the nearest possible ones."""
        values = np.exp(positions) if self.scale == "log" else positions
        values = np.clip(np.floor(values + 0.5), self.low, self.high)
        return np.log(values) if self.scale == "log" else values

    def contains(self, value: Value) -> bool:
        """Whether it is a whole number within the bounds."""
        return super().contains(value) and float(value).is_integer()

    def list_values(self) -> list[Value]:
        """Every whole number within the bounds."""
        return list(range(self.low, self.high + 1))

    def describe(self) -> str:
        """One phrase for people."""
        kinds = ["int", "log"] if self.scale == "log" else ["int"]
        return _describe(self.name, str(self.low), str(self.high), kinds)


class PowerOfTwoParameter(NumericParameter):
    """A whole power of two, such as a batch size; searched by its exponent."""

    kind: Literal["power_of_two"] = "power_of_two"
    low: int
    high: int

    @model_validator(mode="after")
    def _check_powers(self) -> Self:
        for bound in (self.low, self.high):
            if not is_power_of_two(bound):
                raise ValueError(f"{self.name} takes powers of two, and its bound {bound} is not one.")
        return self

    @property
    def extent(self) -> tuple[float, float]:
        """Both ends of the unit interval on the scale."""
        margin = 0.5 if self.low < self.high else 0.0
        return self.to_scale(self.low) - margin, self.to_scale(self.high) + margin

    @property
    def size(self) -> int | None:
        """Number of values."""
        return self.high.bit_length() - self.low.bit_length() + 1

    def to_scale(self, value: Value) -> float:
        """The exponent."""
        return take_log(float(value), self.low, self.high, math.log2)

    def from_scale(self, position: float) -> int:
        """The possible value nearest to a position on the scale."""
        exponent = math.floor(position + 0.5)
        return 1 << min(max(exponent, self.low.bit_length() - 1), self.high.bit_length() - 1)

    def snap(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions moved to the nearest possible ones."""
        return np.clip(np.floor(positions + 0.5), self.to_scale(self.low), self.to_scale(self.high))

    def contains(self, value: Value) -> bool:
        """Whether it is a power of two within the bounds."""
        return super().contains(value) and float(value).is_integer() and is_power_of_two(int(value))

    def list_values(self) -> list[Value]:
        """Every power of two within the bounds."""
        return [1 << exponent for exponent in range(self.low.bit_length() - 1, self.high.bit_length())]

    def describe(self) -> str:
        """One phrase for people."""
        return _describe(self.name, str(self.low), str(self.high), ["powers of two"])


class CategoricalParameter(Model):
    """One of a few values without an order."""

    kind: Literal["categorical"] = "categorical"
    name: str
    choices: tuple[Value, ...]

    @model_validator(mode="after")
    def _check_choices(self) -> Self:
        if not self.choices:
            raise ValueError(f"{self.name} has no values to choose from.")
        if any(isinstance(choice, float) and not math.isfinite(choice) for choice in self.choices):
            raise ValueError(f"{self.name} has a choice that is not a finite number.")
        # `1 == True` in Python, and they are two values to the programs that read them.
        if len({(isinstance(choice, bool), choice) for choice in self.choices}) < len(self.choices):
            raise ValueError(f"{self.name} has the same choice twice.")
        return self

    @property
    def size(self) -> int | None:
        """Number of choices."""
        return len(self.choices)

    @property
    def bounds(self) -> list[Value]:
        """The choices, as ``state.json`` has them."""
        return list(self.choices)

    def to_unit(self, value: Value) -> float:
        """The middle of the choice's share of the unit interval.

        Raises:
            ValueError: The value is none of the choices.
        """
        return (self.choices.index(value) + 0.5) / len(self.choices)

    def from_unit(self, unit: float) -> Value:
        """The choice whose share of the unit interval holds this place."""
        return self.choices[min(max(math.floor(unit * len(self.choices)), 0), len(self.choices) - 1)]

    def grid(self, resolution: int) -> list[Value]:
        """All choices: none lies between others, so none may be left out whatever the resolution."""
        del resolution
        return list(self.choices)

    def contains(self, value: Value) -> bool:
        """Whether the value is one of the choices."""
        return value in self.choices

    def list_values(self) -> list[Value]:
        """The choices."""
        return list(self.choices)

    def describe(self) -> str:
        """One phrase for people, such as ``activation one of relu, tanh``."""
        return f"{self.name} one of {', '.join(str(choice) for choice in self.choices)}"


Parameter = Annotated[
    FloatParameter | IntParameter | PowerOfTwoParameter | CategoricalParameter, Field(discriminator="kind")
]
"""Any kind of parameter; JSON tells them apart by ``kind``."""


def is_power_of_two(value: float) -> bool:
    """Whether the value is 1, 2, 4, 8 and so on."""
    return value >= 1 and float(value).is_integer() and int(value) & (int(value) - 1) == 0


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_log(name: str, low: float, scale: Scale) -> None:
    if scale == "log" and low <= 0:
        raise ValueError(f"{name} is searched on a log scale, and its minimum {low:g} is not above 0.")


def _describe(name: str, low: str, high: str, kinds: list[str]) -> str:
    return f"{name} {low} to {high}" + (f" ({', '.join(kinds)})" if kinds else "")
