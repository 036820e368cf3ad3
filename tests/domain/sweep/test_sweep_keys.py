"""Slips in a sweep file's keys are refused with what was meant; keys of other programs are left alone."""

from typing import Any

import pytest

from multistage.domain.sweep.sweep_keys import check_keys
from multistage.errors import SpaceError

RANGE = {"min": 0.0, "max": 1.0}


@pytest.mark.parametrize(
    ("content", "key", "meant"),
    [
        ({"metod": "bayes", "parameters": {"x": RANGE}}, "metod", "method"),
        ({"method": "bayes", "paramters": {"x": RANGE}}, "paramters", "parameters"),
        ({"metric": {"name": "loss", "gaol": "minimize"}}, "metric.gaol", "goal"),
        ({"early_terminate": {"typ": "hyperband"}}, "early_terminate.typ", "type"),
        ({"parameters": {"x": {"distributon": "normal"}}}, "parameters.x.distributon", "distribution"),
        ({"parameters": {"x": {"vaules": [1, 2]}}}, "parameters.x.vaules", "values"),
        ({"parameters": {"x": {"parameters": {"y": {"Value": 1}}}}}, "parameters.x.parameters.y.Value", "value"),
    ],
)
def test_a_slip_is_named_with_what_was_meant(content: dict[str, Any], key: str, meant: str) -> None:
    with pytest.raises(SpaceError) as refused:
        check_keys(content)
    assert refused.value.message == f"The sweep file has the unknown key {key}."
    assert refused.value.hint == f"Did you mean {meant}?"


@pytest.mark.parametrize(
    "content",
    [
        {"method": "grid", "parameters": {"x": {"values": [1]}, "metod": {"value": 3}}, "x-mine": 1, "program": "t.py"},
        {"method": "grid", "methods": ["grid"], "parameters": {"x": 3}},
        {"method": "grid", "parameters": ["x"], "metric": "loss"},
    ],
)
def test_names_and_keys_of_others_are_left_alone(content: dict[str, Any]) -> None:
    check_keys(content)
