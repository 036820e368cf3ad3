"""Usual values of hyperparameters, beside the ranges that are searched around them."""

from multistage.domain.runs.results import Value
from multistage.domain.runs.values import require_number
from multistage.domain.space.parameters import CategoricalParameter, FloatParameter, Parameter


def fit_usual(parameter: Parameter, value: Value) -> Value:
    """Return a usual value in the parameter's own kind; it may lie outside a range, and must be one of the choices.

    Args:
        parameter: The hyperparameter.
        value: As it was told.

    Raises:
        ValueError: The parameter cannot have it; the text ends a sentence: "not a number".
    """
    number = require_number(value)
    if isinstance(parameter, CategoricalParameter):
        for meant in (value, number):
            if meant is not None and parameter.contains(meant):
                return parameter.choices[parameter.choices.index(meant)]
        raise ValueError(f"not one of its choices: {', '.join(map(str, parameter.choices))}")
    if number is None:
        raise ValueError("not a number")
    if isinstance(parameter, FloatParameter):
        return float(number)
    if not float(number).is_integer():
        raise ValueError("not a whole number")
    return int(number)
