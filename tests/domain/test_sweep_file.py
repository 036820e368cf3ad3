"""Sweep files in this project's kinds of parameter, and configs nested as W&B nests them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multistage.domain.layout import Place, flatten_config, nest_config, nest_specs
from multistage.domain.narrowing import narrow
from multistage.domain.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter
from multistage.domain.results import Evaluation
from multistage.domain.space import SearchSpace
from multistage.domain.sweep_file import name_config_id, read_sweep_file
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
            "from 0.1, its smallest value above 0",
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
    ("content", "said"),
    [
        ({"parameters": {"x": {"value": 1}}}, "No parameter was named"),
        ({"parameters": {"x": {"values": [1, 1.0]}}}, "names the same choice twice"),
        ({"parameters": {"x": {"min": 1}}}, "neither a value, values, nor both bounds"),
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
    with pytest.raises(ValueError, match=r"no multiple of 0\.2"):
        FloatParameter(name="x", low=0.1, high=0.7, step=0.2)
