"""How a run's beginning is read, and a parameter written into a sweep, in W&B's words."""

import math
from typing import Any

import pytest

from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.wandb_client.run_fields import find_beginning
from multistage.wandb_client.sweep_calls import (
    describe_parameter,
)


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, 1e300, "soon", None])
def test_what_is_no_time_is_no_beginning(value: Any) -> None:
    assert find_beginning({"time/first_step": value}, None, None) is None


@pytest.mark.parametrize(
    ("parameter", "described"),
    [
        (FloatParameter(name="p", low=0.1, high=1), {"distribution": "uniform", "min": 0.1, "max": 1}),
        (
            FloatParameter(name="p", low=0.1, high=1, scale="log"),
            {"distribution": "log_uniform_values", "min": 0.1, "max": 1},
        ),
        (IntParameter(name="p", low=1, high=9), {"distribution": "int_uniform", "min": 1, "max": 9}),
        (
            IntParameter(name="p", low=1, high=9, scale="log"),
            {"distribution": "q_log_uniform_values", "min": 1, "max": 9, "q": 1},
        ),
        (
            FloatParameter(name="p", low=0.5, high=2, step=0.5),
            {"distribution": "q_uniform", "min": 0.5, "max": 2, "q": 0.5},
        ),
        (PowerOfTwoParameter(name="p", low=16, high=64), {"values": [16, 32, 64]}),
        (CategoricalParameter(name="p", choices=("a", "b")), {"values": ["a", "b"]}),
    ],
)
def test_parameters_are_described_in_wandbs_words(parameter: Parameter, described: dict[str, Any]) -> None:
    assert describe_parameter(parameter) == described
