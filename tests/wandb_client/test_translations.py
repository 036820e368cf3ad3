"""How a metric is read from a summary, and a parameter written into a sweep, in W&B's words."""

import math
from typing import Any

import pytest

from multistage.domain.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.wandb_client.run_fields import find_beginning, read_metric
from multistage.wandb_client.sweeps import (
    describe_parameter,
)


@pytest.mark.parametrize(
    ("summary", "metric", "goal", "value"),
    [
        ({"score": 1}, "score", "maximize", 1.0),
        ({"val/acc": 0.5}, "val/acc", "maximize", 0.5),
        ({"val.acc": 0.5}, "val.acc", "maximize", 0.5),
        ({"val": {"acc": 0.5}}, "val.acc", "maximize", 0.5),
        ({"val": 0.5}, "val.acc", "maximize", None),
        ({"score": {"min": 1, "max": 2}}, "score", "maximize", 2.0),
        ({"score": {"min": 1, "max": 2}}, "score", "minimize", 1.0),
        ({"score": {"last": 3}}, "score", "minimize", 3.0),
        ({"score": {"mean": 3}}, "score", "minimize", 3.0),
        ({"score": {}}, "score", "minimize", None),
        ({"score": "Infinity"}, "score", "maximize", math.inf),
        ({"score": "-Infinity"}, "score", "maximize", -math.inf),
        ({"score": 10**400}, "score", "maximize", math.inf),
        ({"score": -(10**400)}, "score", "maximize", -math.inf),
        ({"score": "good"}, "score", "maximize", None),
        ({"score": True}, "score", "maximize", None),
        ({"score": None}, "score", "maximize", None),
        ({}, "score", "maximize", None),
    ],
)
def test_a_metric_is_read_from_whatever_summary(
    summary: dict[str, Any], metric: str, goal: str, value: float | None
) -> None:
    assert read_metric(summary, metric, goal) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, 1e300, "soon", None])
def test_what_is_no_time_is_no_beginning(value: Any) -> None:
    assert find_beginning({"time/first_step": value}, None, None) is None


def test_a_nan_stays_one() -> None:
    value = read_metric({"score": "NaN"}, "score", "maximize")
    assert value is not None
    assert math.isnan(value)


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
