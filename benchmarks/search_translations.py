"""Spaces and configs between the product's words and the peers'."""

# mypy: disable-error-code="import-not-found,unused-ignore"

import math
from collections.abc import Mapping
from typing import Any

from multistage.domain.runs.results import Config
from multistage.domain.space.parameters import CategoricalParameter, FloatParameter, IntParameter, PowerOfTwoParameter
from multistage.domain.space.search_space import SearchSpace


def flatten(parameter: Any) -> Any:
    """A range as the original saw it: linear, and of real numbers."""
    if isinstance(parameter, CategoricalParameter):
        return parameter
    return FloatParameter(name=parameter.name, low=parameter.low, high=parameter.high)


def pick_grid_config(space: SearchSpace, place: int) -> Config:
    """The grid's config at a place, without listing a grid that may be huge."""
    config: Config = {}
    for parameter in reversed(space.parameters):
        values = parameter.grid(5)
        place, index = divmod(place, len(values))
        config[parameter.name] = values[index]
    return {name: config[name] for name in space.names}


def fit_config(space: SearchSpace, config: Config) -> Config:
    """The nearest possible config."""
    return space.from_unit(space.to_unit({name: _clip(space, name, config[name]) for name in space.names}))


def _clip(space: SearchSpace, name: str, value: Any) -> Any:
    parameter = space[name]
    if isinstance(parameter, CategoricalParameter):
        return value
    return min(max(float(value), parameter.low), parameter.high)


def to_optuna(parameter: Any) -> Any:
    """A parameter as Optuna has it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, FloatParameter):
        return FloatDistribution(parameter.low, parameter.high, log=parameter.scale == "log")
    if isinstance(parameter, IntParameter):
        return IntDistribution(parameter.low, parameter.high, log=parameter.scale == "log")
    if isinstance(parameter, PowerOfTwoParameter):
        return IntDistribution(int(math.log2(parameter.low)), int(math.log2(parameter.high)))
    return CategoricalDistribution(parameter.choices)


def raise_exponents(space: SearchSpace, values: Mapping[str, Any]) -> Config:
    """Powers of two from the exponents that peers search."""
    return {
        name: 2 ** int(values[name]) if isinstance(space[name], PowerOfTwoParameter) else values[name]
        for name in space.names
    }


def to_smac(space: SearchSpace) -> Any:
    """The space as SMAC has it."""
    from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer

    described: dict[str, Any] = {}
    for parameter in space.parameters:
        match parameter:
            case CategoricalParameter():
                described[parameter.name] = Categorical(parameter.name, list(parameter.choices))
            case PowerOfTwoParameter():
                exponents = int(math.log2(parameter.low)), int(math.log2(parameter.high))
                described[parameter.name] = Integer(parameter.name, exponents)
            case IntParameter():
                bounds = int(parameter.low), int(parameter.high)
                described[parameter.name] = Integer(parameter.name, bounds, log=parameter.scale == "log")
            case FloatParameter():
                bounds_ = float(parameter.low), float(parameter.high)
                described[parameter.name] = Float(parameter.name, bounds_, log=parameter.scale == "log")
    return ConfigurationSpace(described)


def to_hebo(parameter: Any) -> dict[str, Any]:
    """A parameter as HEBO has it; it wants choices as text."""
    name = parameter.name
    if isinstance(parameter, CategoricalParameter):
        return {"name": name, "type": "cat", "categories": [str(choice) for choice in parameter.choices]}
    if isinstance(parameter, PowerOfTwoParameter):
        low, high = int(math.log2(parameter.low)), int(math.log2(parameter.high))
        return {"name": name, "type": "int", "lb": low, "ub": high}
    log = parameter.scale == "log"
    kinds = ("pow_int", "int") if isinstance(parameter, IntParameter) else ("pow", "num")
    return {"name": name, "type": kinds[0] if log else kinds[1], "lb": parameter.low, "ub": parameter.high}


def read_labels(space: SearchSpace, values: Config) -> Config:
    """The choices that HEBO's text stands for."""
    read = dict(values)
    for parameter in space.parameters:
        if isinstance(parameter, CategoricalParameter):
            labels = {str(choice): choice for choice in parameter.choices}
            read[parameter.name] = labels[str(values[parameter.name])]
    return read
