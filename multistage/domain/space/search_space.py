"""The space that a sweep's hyperparameters span."""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Value
from multistage.domain.space.parameters import Parameter


class SearchSpace(Model):
    """The parameters that a sweep varies, in the order the user named them."""

    parameters: tuple[Parameter, ...]

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if not self.parameters:
            raise ValueError("No parameter was named.")
        names = [parameter.name for parameter in self.parameters]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is named twice.")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def bounds(self) -> dict[str, list[Value]]:
        """``{name: [low, high]}``, or the choices of a categorical one: the guide's ``params``."""
        return {parameter.name: parameter.bounds for parameter in self.parameters}

    @property
    def size(self) -> int | None:
        """Number of distinct configs; None where a parameter is continuous."""
        sizes = [parameter.size for parameter in self.parameters]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def __getitem__(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __len__(self) -> int:
        return len(self.parameters)

    def to_unit(self, config: Config) -> NDArray[np.float64]:
        """A config as a point of the unit cube, shape (parameters,)."""
        return np.array([parameter.to_unit(config[parameter.name]) for parameter in self.parameters], dtype=np.float64)

    def from_unit(self, point: Sequence[float] | NDArray[np.float64]) -> Config:
        """The config at a point of the unit cube, its values possible ones and plain Python numbers."""
        return {
            parameter.name: parameter.from_unit(float(unit))
            for parameter, unit in zip(self.parameters, point, strict=True)
        }

    def grid(self, resolution: int) -> list[Config]:
        """Every combination of ``resolution`` values per parameter (fewer where a parameter has fewer)."""
        return list(self._combine([parameter.grid(resolution) for parameter in self.parameters]))

    def list_configs(self) -> list[Config]:
        """Every config of a space with a `size`; mind how large that is."""
        return list(self._combine([parameter.list_values() for parameter in self.parameters]))

    def _combine(self, values: Sequence[Sequence[Value]]) -> Iterator[Config]:
        for combination in product(*values):
            yield dict(zip(self.names, combination, strict=True))

    def grid_size(self, resolution: int) -> int:
        """Number of configs of that grid, without building it."""
        return math.prod(len(parameter.grid(resolution)) for parameter in self.parameters)

    def contains(self, config: Config) -> bool:
        """Whether the config has exactly these parameters, each with a possible value."""
        return set(config) == set(self.names) and all(
            parameter.contains(config[parameter.name]) for parameter in self.parameters
        )
