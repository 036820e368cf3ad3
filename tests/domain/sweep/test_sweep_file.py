"""Sweep files in this project's kinds of parameter, and configs nested as W&B nests them."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multistage.domain.runs.results import Evaluation, Value
from multistage.domain.space.distributions import parse_parameters
from multistage.domain.space.layout import Place, flatten_config, nest_config, nest_specs
from multistage.domain.space.multiples import quantize
from multistage.domain.space.narrowing import narrow
from multistage.domain.space.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.space.specifications import correct_parameters
from multistage.domain.sweep.sweep_file import name_config_id, read_sweep_file
from multistage.errors import SpaceError


def read(**parameters: Any) -> Any:
    return read_sweep_file({"method": "random", "parameters": parameters})


@pytest.mark.parametrize(
    ("spec", "parameter", "note"),
    [
        ({"min": 1, "max": 4}, IntParameter(name="x", low=1, high=4), ""),
        ({"min": 0.5, "max": 4.0}, FloatParameter(name="x", low=0.5, high=4), ""),
        ({"values": ["a", "b"]}, CategoricalParameter(name="x", choices=("a", "b")), ""),
        (
            {"values": [1, 2], "probabilities": [0.9, 0.1]},
            CategoricalParameter(name="x", choices=(1, 2)),
            "probabilities of x are not used",
        ),
        (
            {"distribution": "log_uniform_values", "min": 0.001, "max": 1},
            FloatParameter(name="x", low=0.001, high=1, scale="log"),
            "",
        ),
        (
            {"distribution": "inv_log_uniform_values", "min": 0.001, "max": 1},
            FloatParameter(name="x", low=0.001, high=1, scale="log"),
            "",
        ),
        (
            {"distribution": "log_uniform", "min": 0, "max": 1},
            FloatParameter(name="x", low=1, high=2.71828182846, scale="log"),
            "exponents as bounds: it is searched from 1 to 2.71828",
        ),
        (
            {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.1},
            FloatParameter(name="x", low=0, high=1, step=0.1),
            "",
        ),
        ({"distribution": "q_uniform", "min": 1.0, "max": 5.0}, IntParameter(name="x", low=1, high=5), ""),
        (
            {"distribution": "q_log_uniform_values", "min": 0.01, "max": 1, "q": 0.1},
            FloatParameter(name="x", low=0.1, high=1, scale="log", step=0.1),
            "from 0.1 to 1, the first and the last between 0.01 and 1",
        ),
        ({"distribution": "normal", "mu": 0, "sigma": 1}, None, "from -1.95996 to 1.95996, the central 95%"),
        ({"distribution": "q_beta", "a": 2, "b": 2, "q": 0.1}, None, "the central 95%"),
    ],
)
def test_every_distribution_has_a_kind_and_what_changed_is_said(
    spec: dict[str, Any], parameter: Parameter | None, note: str
) -> None:
    found = read(x=spec)
    if parameter is not None:
        assert found.space.parameters == (parameter,)
    assert note in " ".join(found.notes)
    assert bool(note) == bool(found.notes)


def test_constants_nested_parameters_and_lists_keep_their_places() -> None:
    found = read_sweep_file(
        {
            "method": "grid",
            "program": "train.py",
            "command": ["python", "${program}"],
            "metric": {"name": "loss"},
            "parameters": {
                "optimizer": {"parameters": {"name": {"values": ["sgd", "adam"]}, "momentum": {"value": 0.9}}},
                "layers": {"values": [[64, 64], [32], None]},
                "epochs": {"value": 3},
                "tags": {"value": ["a"]},
            },
        }
    )
    assert found.space.names == ("optimizer.name", "layers")
    assert found.size == 6
    assert (found.metric, found.goal, found.program) == ("loss", "minimize", "train.py")
    config = found.space.from_unit([0.9, 0.4]) | found.fixed
    nested = nest_config(config, found.layout)
    assert nested == {
        "optimizer": {"name": "adam", "momentum": 0.9}, "layers": [32], "epochs": 3, "tags": ["a"],
    }  # fmt: skip
    assert flatten_config(nested, config, found.layout) == config
    assert flatten_config({"optimizer": 3}, ["optimizer.name", "lr"], found.layout) == {}


@pytest.mark.parametrize(
    ("written", "told"),
    [(None, "null"), ([1], "[1]"), ({"a": 1}, '{"a": 1}'), (True, True), ("x", "x"), (2, 2), (math.inf, "Infinity")],
)
def test_what_a_script_has_written_over_a_value_is_told_by_its_text(written: Any, told: Value) -> None:
    assert flatten_config({"lr": written}, ["lr"], {}) == {"lr": told}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"parameters": {"x": {"value": 1}}}, "No parameter was named"),
        ({"parameters": {"x": {"values": [1, 1.0]}}}, "No parameter was named"),
        ({"parameters": {"x": {"min": 1}}}, "neither a value, values, nor both bounds"),
        ({"parameters": {"x": {"min": -1e308, "max": 1e308}}}, "a bound that is not a finite number"),
        ({"parameters": {"x": {"values": [1, 2]}}, "program": 3}, "the program 3"),
        ({"parameters": {"x": {"values": [1, 2]}}, "command": "python"}, "the command 'python'"),
    ],
)
def test_a_file_without_a_search_is_refused(content: dict[str, Any], said: str) -> None:
    with pytest.raises(SpaceError) as refused:
        read_sweep_file({"method": "random", **content})
    assert said in refused.value.message


def test_specifications_are_nested_as_wandb_has_them() -> None:
    layout = {"a.b.c": Place(path=("a", "b", "c")), "a.d": Place(path=("a", "d"))}
    specs: dict[str, dict[str, Any]] = {"a.b.c": {"value": 1}, "a.d": {"min": 1, "max": 2}, "x.y": {"values": [1]}}
    assert nest_specs(specs, layout) == {
        "a": {"parameters": {"b": {"parameters": {"c": {"value": 1}}}, "d": {"min": 1, "max": 2}}},
        "x.y": {"values": [1]},
    }


def test_a_file_names_what_it_trains() -> None:
    assert name_config_id({"command": ["python", "--config_id", "digits:mlp"], "name": "x"}) == "digits:mlp"
    assert name_config_id({"name": "x", "project": "y"}) == "x"
    assert name_config_id({}) is None


STEPPED = FloatParameter(name="x", low=0.1, high=0.7, step=0.1)


@pytest.mark.parametrize("parameter", [STEPPED, STEPPED.model_copy(update={"scale": "log"})], ids=["linear", "log"])
@given(unit=st.floats(0, 1))
def test_a_stepped_range_holds_multiples_of_its_step(parameter: FloatParameter, unit: float) -> None:
    values = parameter.list_values()
    assert values == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert parameter.size == 7
    value = parameter.from_unit(unit)
    assert value in values
    assert parameter.contains(value)
    assert not parameter.contains(0.25)
    [position] = parameter.snap(np.array([parameter.to_scale(value)]))
    assert position == pytest.approx(parameter.to_scale(value))
    assert "multiples of 0.1" in parameter.describe()


def test_a_stepped_range_never_narrows_to_nothing() -> None:
    space = SearchSpace(parameters=(STEPPED,))
    top = [Evaluation(stage=1, index=0, config={"x": 0.4}, outcome="finished", value=1.0)]
    [after] = narrow(space, space, top, 2).space.parameters
    assert after.bounds == [pytest.approx(0.3), pytest.approx(0.5)]


def test_a_stepped_range_has_bounds_on_its_steps() -> None:
    with pytest.raises(ValueError, match=r"not a multiple of 0\.2"):
        FloatParameter(name="x", low=0.1, high=0.7, step=0.2)


@pytest.mark.parametrize(
    ("spec", "parameter", "note"),
    [
        ({"min": "1e-5", "max": "1e-2"}, FloatParameter(name="x", low=1e-5, high=1e-2), "'1e-5', '1e-2' as text"),
        (
            {"distribution": "log_uniform_values", "min": "3e-5", "max": 1},
            FloatParameter(name="x", low=3e-5, high=1, scale="log"),
            "'3e-5' as text",
        ),
        ({"min": 1, "max": "1e6"}, FloatParameter(name="x", low=1, high=1e6), "the bounds 1 and 1000000.0"),
        (
            {"distribution": "int_uniform", "min": 1, "max": "1e6"},
            IntParameter(name="x", low=1, high=10**6),
            "'1e6' as text",
        ),
        ({"min": "1.10", "max": 2}, FloatParameter(name="x", low=1.1, high=2), "'1.10' as text"),
        ({"min": 0, "max": 0.5}, FloatParameter(name="x", low=0, high=0.5), "of which one is whole"),
        (
            {"values": ["1e-3", "3e-5", 0.001]},
            CategoricalParameter(name="x", choices=(1e-3, 3e-5)),
            "names 0.001 more than once",
        ),
        ({"values": [1, 1.0, 2]}, CategoricalParameter(name="x", choices=(1, 2)), "names 1 more than once"),
        ({"values": [1, True]}, CategoricalParameter(name="x", choices=("1", "true")), "true beside an equal number"),
        ({"values": [True, "auto"]}, CategoricalParameter(name="x", choices=(True, "auto")), "on, off, yes and no"),
        ({"values": [[8], [8], [9]]}, CategoricalParameter(name="x", choices=("[8]", "[9]")), "names [8] more than"),
        (
            {"values": ["2024_01_15", "007", "1.10", "12e45678", ".inf"]},
            CategoricalParameter(name="x", choices=("2024_01_15", "007", "1.10", "12e45678", ".inf")),
            "",
        ),
        ({"values": [math.inf, 1.5]}, CategoricalParameter(name="x", choices=("inf", 1.5)), ""),
        (
            {"distribution": "q_uniform", "min": 16, "max": 512, "q": 64},
            FloatParameter(name="x", low=64, high=512, step=64),
            "from 64 to 512, the first and the last between 16 and 512",
        ),
    ],
)
def test_values_are_taken_as_they_were_meant_and_a_note_says_how(
    spec: dict[str, Any], parameter: Parameter, note: str
) -> None:
    found = read(x=spec)
    assert found.space.parameters == (parameter,)
    assert note in " ".join(found.notes)
    assert bool(note) == bool(found.notes)


def test_a_boolean_and_its_equal_number_are_trained_as_two() -> None:
    found = read(x={"values": [1, True, 0, False]}, lr={"value": "1e-3"})
    configs = [nest_config({**config, **found.fixed}, found.layout) for config in found.space.list_configs()]
    assert [(type(config["x"]), config["x"]) for config in configs] == [
        (int, 1), (bool, True), (int, 0), (bool, False),
    ]  # fmt: skip
    assert {config["lr"] for config in configs} == {0.001}


QUANTIZED = {
    "q_uniform": (st.floats(-100, 100), st.floats(1, 100)),
    "q_log_uniform_values": (st.floats(1e-3, 100), st.floats(1, 100)),
    "q_log_uniform": (st.floats(-3, 3), st.floats(0.5, 2)),
}


@pytest.mark.parametrize("kind", QUANTIZED)
@settings(deadline=None)
@given(data=st.data())
def test_a_quantized_range_never_leaves_its_bounds(kind: str, data: st.DataObject) -> None:
    low = data.draw(QUANTIZED[kind][0])
    high = low + data.draw(QUANTIZED[kind][1])
    step = data.draw(st.sampled_from([0.1, 0.25, 1, 3, 64]) | st.floats(0.1, 100))
    spec = {"distribution": kind, "min": low, "max": high, "q": step}
    first, last = (math.exp(low), math.exp(high)) if kind == "q_log_uniform" else (low, high)
    if math.floor(last / step) < math.ceil(first / step):
        with pytest.raises(SpaceError, match="none lies between"):
            parse_parameters({"x": spec})
        return
    [one] = parse_parameters({"x": spec})
    unit = data.draw(st.floats(0, 1))
    values = [*one.values[:2], *one.values[-2:], one.pick(0), one.pick(unit), one.pick(1)]
    # What a W&B server elsewhere is given, and draws from as W&B's own engine does.
    sent = correct_parameters({"x": spec})["x"]
    drawn = sent["min"] + unit * (sent["max"] - sent["min"])
    values.append(quantize(math.exp(drawn) if kind == "q_log_uniform" else drawn, float(step)))
    if len(one.values) != 1:
        [parameter] = read(x=spec).space.parameters
        values += [*parameter.bounds, parameter.from_unit(unit)]
    slack = 1e-9 * max(abs(first), abs(last))
    for value in values:
        assert first - slack <= float(value) <= last + slack
        assert float(value) / step == pytest.approx(round(float(value) / step), abs=1e-6)


@settings(deadline=None)  # the first one imports scipy
@given(unit=st.floats(0, 1), step=st.floats(0.01, 3))
def test_a_quantized_distribution_gives_nothing_that_it_cannot_give(unit: float, step: float) -> None:
    shapes = [{"distribution": "q_log_normal", "q": step}, {"distribution": "q_beta", "a": 2, "b": 1, "q": step}]
    above_zero, share = parse_parameters({str(place): shape for place, shape in enumerate(shapes)})
    assert above_zero.pick(unit) > 0
    assert 0 <= share.pick(unit) <= 1


def test_a_range_without_a_multiple_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"multiples of 64, and none lies between 10 and 50"):
        read(x={"distribution": "q_uniform", "min": 10, "max": 50, "q": 64})


def test_probabilities_of_one_value_add_up_and_nested_parameters_are_mended_too() -> None:
    inner: dict[str, Any] = {
        "y": {"values": [1, "1", 2], "probabilities": [0.25, "0.25", 0.5]},
        "z": {"value": {"eps": ["1e-3"]}},
        "w": 3,
    }
    y = {"values": [1, 2], "probabilities": [0.5, 0.5]}
    assert correct_parameters({"x": {"parameters": inner}}) == {
        "x": {"parameters": {"y": y, "z": {"value": {"eps": [0.001]}}, "w": 3}}
    }
    [parsed] = parse_parameters({"y": inner["y"]})
    assert (parsed.values, parsed.weights) == ((1, 2), (0.5, 0.5))
