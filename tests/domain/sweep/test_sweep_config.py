"""What W&B's sweep configs say, and the sentence for each that makes no sense."""

import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from multistage.domain.space.distributions import DISTRIBUTIONS, SweepParameter, parse_parameters
from multistage.domain.sweep import sweep_config
from multistage.domain.sweep.sweep_config import read_plan
from multistage.errors import SpaceError

RANGES: list[dict[str, Any]] = [
    {"distribution": "uniform", "min": 0.5, "max": 2.0},
    {"distribution": "int_uniform", "min": 1, "max": 9},
    {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.1},
    {"distribution": "log_uniform", "min": -3.0, "max": 1.0},
    {"distribution": "log_uniform_values", "min": 0.001, "max": 1.0},
    {"distribution": "q_log_uniform", "min": 0.0, "max": 3.0},
    {"distribution": "q_log_uniform_values", "min": 1, "max": 64, "q": 2},
    {"distribution": "inv_log_uniform", "min": -3.0, "max": 1.0},
    {"distribution": "inv_log_uniform_values", "min": 0.01, "max": 10.0},
    {"distribution": "normal", "mu": 3.0, "sigma": 0.5},
    {"distribution": "q_normal", "mu": 3.0, "sigma": 2.0, "q": 0.5},
    {"distribution": "log_normal"},
    {"distribution": "q_log_normal", "mu": 2.0, "sigma": 0.5},
    {"distribution": "beta", "a": 2, "b": 3},
    {"distribution": "q_beta", "a": 2, "b": 3, "q": 0.05},
]


def parse(spec: Any) -> SweepParameter:
    [parameter] = parse_parameters({"x": spec})
    return parameter


@pytest.mark.parametrize("spec", RANGES, ids=lambda spec: str(spec["distribution"]))
@settings(deadline=None)  # the first one imports scipy
@given(unit=st.floats(0, 1))
def test_a_range_is_drawn_from_within_its_bounds_and_placed_where_it_came_from(
    spec: dict[str, Any], unit: float
) -> None:
    parameter = parse(spec)
    assert parameter.is_range
    assert parameter.kind == spec["distribution"]
    assert parameter.place is not None
    value = parameter.pick(unit)
    if spec["distribution"] in ("uniform", "int_uniform", "log_uniform_values", "inv_log_uniform_values"):
        assert spec["min"] <= value <= spec["max"]
    if spec["distribution"] == "log_uniform":
        assert spec["min"] - 1e-9 <= math.log(value) <= spec["max"] + 1e-9
    if spec["distribution"] == "inv_log_uniform":
        assert spec["min"] - 1e-9 <= math.log(1 / value) <= spec["max"] + 1e-9
    if parameter.step is None and spec["distribution"] != "int_uniform":
        assert parameter.place(value) == pytest.approx(unit, abs=2e-5)
    elif parameter.step is not None:
        assert value / parameter.step == pytest.approx(round(value / parameter.step))
    if parameter.values:
        assert value in parameter.values


def test_every_documented_distribution_is_known() -> None:
    kinds = {spec["distribution"] for spec in RANGES} | {"constant", "categorical", "categorical_w_probabilities"}
    assert kinds == DISTRIBUTIONS


def test_distributions_are_guessed_as_the_server_does() -> None:
    assert parse({"min": 1, "max": 3}).kind == "int_uniform"
    assert parse({"min": 1.0, "max": 3.0}).kind == "uniform"
    assert parse({"value": 4}).values == (4,)
    assert parse({"values": ["a", "b"]}).pick(0.75) == "b"
    weighted = parse({"values": ["a", "b"], "probabilities": [0.9, 0.1]})
    assert [weighted.pick(unit) for unit in (0.0, 0.89, 0.91, 1.0)] == ["a", "a", "b", "b"]
    assert parse({"min": 2.0, "max": 2.0}).values == (2.0,)
    assert parse({"distribution": "uniform", "min": 2.0, "max": 2.0}).pick(0.3) == 2.0
    place = parse({"min": 1, "max": 4}).place
    assert place is not None
    assert place(1) == 0.125
    assert parse({"min": 0, "max": 10**9}).values == ()
    level = parse({"min": 2.0, "max": 2.0}).place
    assert level is not None
    assert level(2.0) == 0.5


def test_nested_parameters_are_named_by_their_path() -> None:
    found = parse_parameters({"model": {"parameters": {"width": {"values": [8, 16]}}}, "lr": {"value": 0.1}})
    assert [(one.name, one.path) for one in found] == [("model.width", ("model", "width")), ("lr", ("lr",))]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (3, "The parameter x is 3"),
        ({"parameters": {}}, "The parameter x has no parameters"),
        ({"distribution": "zipf"}, "unknown distribution 'zipf'"),
        ({"distribution": "constant"}, "has no value"),
        ({"min": 1}, "neither a value, values, nor both bounds"),
        ({"min": 1, "max": True}, "has the bounds 1 and True"),
        ({"min": 0.5, "max": 10**400}, "has the bounds 0.5 and 1000"),
        ({"distribution": "q_uniform", "min": 0, "max": 1e308, "q": 1e-9}, "none lies between 0 and 1e+308"),
        ({"values": [1, 1, 2], "probabilities": [0.5, 0.5]}, "3 values and the probabilities [0.5, 0.5]"),
        ({"min": 0.5, "max": ".inf"}, "has the bounds 0.5 and '.inf'"),
        ({"distribution": "uniform", "min": 0, "max": math.inf}, "the max 'inf'"),
        ({"distribution": "uniform", "min": 0, "max": 10**400}, "the max 1000"),
        ({"values": []}, "has no values"),
        ({"values": "abc"}, "has no values"),
        ({"values": [1, 2], "probabilities": [0.5, 0.6]}, "the probabilities [0.5, 0.6]"),
        ({"distribution": "uniform", "min": 1}, "(uniform) has no max"),
        ({"distribution": "uniform", "min": 1, "max": "1e-3x"}, "the max '1e-3x'"),
        ({"distribution": "uniform", "min": 2, "max": 1}, "minimum 2 above its maximum 1"),
        ({"distribution": "int_uniform", "min": 0.5, "max": 2}, "bounds that are not integers"),
        ({"distribution": "log_uniform", "min": 1, "max": 1e4}, "has the exponents"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "is not above 0"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, "has q 0"),
        ({"distribution": "beta", "a": 0, "b": 1}, "has a=0 and b=1"),
        ({"distribution": "normal", "sigma": 0}, "has sigma 0"),
        ({"distribution": "log_normal", "mu": 800}, "has mu 800"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused_in_a_sentence(spec: Any, said: str) -> None:
    with pytest.raises(SpaceError, match=r"The .*\.") as refused:
        parse(spec)
    assert said in refused.value.message
    assert refused.value.hint


PARAMETERS = {"lr": {"min": 0.1, "max": 1.0}}
METRIC = {"name": "loss"}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "the method None"),
        ({"method": "anneal"}, "the method 'anneal'"),
        ({"method": "random"}, "The sweep has no parameters"),
        ({"method": "grid", "parameters": PARAMETERS}, "The grid has the parameter lr, which is continuous"),
        ({"method": "bayes", "parameters": PARAMETERS}, "needs a metric"),
        ({"method": "random", "parameters": PARAMETERS, "metric": "loss"}, "the metric 'loss'"),
        ({"method": "random", "parameters": PARAMETERS, "metric": {"name": "a", "goal": "up"}}, "the goal 'up'"),
        ({"method": "random", "parameters": PARAMETERS, "run_cap": 0}, "run_cap 0"),
        ({"method": "random", "early_terminate": {"type": "hyperband", "min_iter": 3}}, "needs a metric"),
        ({"method": "random", "metric": METRIC, "early_terminate": {"type": "median"}}, "early_terminate"),
        ({"method": "random", "metric": METRIC, "early_terminate": {"type": "hyperband"}}, "neither min_iter"),
        (
            {"method": "random", "metric": METRIC, "early_terminate": {"type": "hyperband", "max_iter": 2, "s": 1}},
            "no iteration between",
        ),
        (
            {"method": "random", "metric": METRIC, "early_terminate": {"type": "hyperband", "min_iter": 0}},
            "min_iter 0",
        ),
        (
            {"method": "random", "metric": METRIC, "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 1}},
            "eta 1",
        ),
    ],
)
def test_a_config_that_makes_no_sense_is_refused_in_a_sentence(config: dict[str, Any], said: str) -> None:
    with pytest.raises(SpaceError) as refused:
        read_plan(config)
    assert said in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize(
    ("section", "stops"),
    [
        ({"controller": {"type": "local"}}, False),
        ({"scheduler": {"engine": "optuna"}}, False),
        ({"scheduler": {"engine": "none"}}, True),
        ({}, True),
    ],
)
def test_whoever_proposes_outside_the_server_also_stops_early(section: dict[str, Any], stops: bool) -> None:
    early = {"type": "hyperband", "min_iter": 3}
    config = {"method": "random", "metric": METRIC, "parameters": PARAMETERS, "early_terminate": early, **section}
    assert (read_plan(config).hyperband is not None) is stops


def test_hyperbands_are_at_the_documented_places() -> None:
    config = {"method": "bayes", "parameters": PARAMETERS, "metric": {"name": "loss", "goal": "maximize"}}
    first = read_plan({**config, "early_terminate": {"type": "hyperband", "min_iter": 3, "eta": 2}}).hyperband
    assert first is not None
    assert first.bands[:4] == (3, 6, 12, 24)
    last = read_plan({**config, "early_terminate": {"type": "hyperband", "max_iter": 27, "s": 2}}).hyperband
    assert last is not None
    assert (last.bands, last.strict) == ((3, 9), False)
    wide = read_plan({**config, "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 1e5}}).hyperband
    assert wide is not None
    assert wide.bands == (1, 10**5, 10**10, 10**15)


@pytest.mark.parametrize(
    "extra", [{"method": "custom"}, {"controller": {"type": "local"}}, {"scheduler": {"engine": "optuna"}}]
)
def test_a_sweep_whose_client_proposes_is_searched_by_nobody_else(extra: dict[str, Any]) -> None:
    plan = read_plan({"method": "random", "metric": METRIC, "run_cap": 5, **extra})
    assert (plan.method, plan.parameters, plan.metric, plan.goal, plan.run_cap) == (None, (), "loss", "minimize", 5)


@pytest.mark.parametrize(
    ("scheduler", "planned"),
    [
        ({"name": "multistage-sweep", "engine": "custom", "runs": 40}, 40),
        ({"name": "another", "runs": 40}, None),
        ({"name": "multistage-sweep", "runs": "many"}, None),
        ("multistage-sweep", None),
        (None, None),
    ],
)
def test_only_this_project_s_plan_counts(scheduler: object, planned: int | None) -> None:
    assert sweep_config.count_planned({"method": "custom", "scheduler": scheduler}) == planned


def test_a_config_is_read_as_plain_data() -> None:
    text = "a: [1, 2.5, yes, null, 2026-01-02]\n3: .inf\nb: &b {c: d}\ne: *b"
    assert sweep_config.parse_config(text) == {
        "a": [1, 2.5, True, None, "2026-01-02"], "3": "inf", "b": {"c": "d"}, "e": {"c": "d"},
    }  # fmt: skip


def test_the_loader_without_c_is_too_deep_in_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_config, "LOADER", yaml.SafeLoader)
    with pytest.raises(SpaceError, match="is nested more than 100 levels deep"):
        sweep_config.parse_config("a: " + "[" * 600 + "]" * 600)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "must be a mapping"),
        ("a: [", "is not valid YAML: while parsing"),
        ("a: &a [*a]", "is nested more than 100 levels deep"),
        ("a: " + "[" * 600 + "]" * 600, "is nested more than 100 levels deep"),
        ("a: 2026-99-99", "is not valid YAML"),
        ("a: " + "x" * sweep_config.MAX_LETTERS, "the limit is"),
        ("\n".join(["a0: &a0 [1, 1, 1, 1]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]),
         "more than 200000 values"),
    ],
)  # fmt: skip
def test_what_is_no_config_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(SpaceError) as refused:
        sweep_config.parse_config(text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
