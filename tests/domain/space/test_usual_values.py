"""Usual values in the kind of their hyperparameters."""

import pytest

from multistage.domain.runs.results import Value
from multistage.domain.space.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter
from multistage.domain.space.usual_values import fit_usual

RATE = FloatParameter(name="lr", low=0.1, high=1.0)
LAYERS = IntParameter(name="layers", low=1, high=4)
SIZES = CategoricalParameter(name="size", choices=("small", 64, True))


@pytest.mark.parametrize(
    ("parameter", "told", "fitted"),
    [
        (RATE, 1, 1.0),
        (RATE, "0.5", 0.5),
        (RATE, 7, 7.0),
        (LAYERS, 2.0, 2),
        (LAYERS, "9", 9),
        (SIZES, "small", "small"),
        (SIZES, "64", 64),
        (SIZES, True, True),
    ],
)
def test_a_usual_value_has_its_parameters_kind_and_may_lie_outside(
    parameter: Parameter, told: Value, fitted: Value
) -> None:
    found = fit_usual(parameter, told)
    assert (found, type(found)) == (fitted, type(fitted))


@pytest.mark.parametrize(
    ("parameter", "told", "why"),
    [
        (RATE, "fast", "not a number"),
        (LAYERS, 2.5, "not a whole number"),
        (SIZES, "large", "not one of its choices: small, 64, True"),
    ],
)
def test_a_usual_value_of_another_kind_is_refused(parameter: Parameter, told: Value, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        fit_usual(parameter, told)
