import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from multistage.domain.space.defaults import GUIDE_PARAMETERS
from multistage.domain.space.field_ranges import FIELD_RANGES, find_field_range
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.domain.space.search_space import SearchSpace

finite = st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def parameters(draw: st.DrawFn, name: str = "x") -> Parameter:
    kind = draw(st.sampled_from(["float", "log", "int", "logint", "pow2", "categorical"]))
    if kind == "float":
        low, high = sorted((draw(finite), draw(finite)))
        return FloatParameter(name=name, low=low, high=high)
    if kind == "log":
        low, high = sorted((draw(st.floats(1e-8, 1e3)), draw(st.floats(1e-8, 1e3))))
        return FloatParameter(name=name, low=low, high=high, scale="log")
    if kind in ("int", "logint"):
        least = 1 if kind == "logint" else -50
        low_int, high_int = sorted((draw(st.integers(least, 200)), draw(st.integers(least, 200))))
        return IntParameter(name=name, low=low_int, high=high_int, scale="log" if kind == "logint" else "linear")
    if kind == "pow2":
        low_int, high_int = sorted((draw(st.integers(0, 12)), draw(st.integers(0, 12))))
        return PowerOfTwoParameter(name=name, low=2**low_int, high=2**high_int)
    return CategoricalParameter(name=name, choices=tuple(draw(st.sets(st.sampled_from("abcdefg"), min_size=1))))


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    count = draw(st.integers(1, 4))
    return SearchSpace(parameters=tuple(draw(parameters(name=f"p{number}")) for number in range(count)))


@given(spaces(), st.data())
def test_every_point_of_the_unit_cube_is_a_possible_config(space: SearchSpace, data: st.DataObject) -> None:
    point = data.draw(st.lists(st.floats(0, 1), min_size=len(space), max_size=len(space)))
    config = space.from_unit(point)
    assert space.contains(config)
    unit = space.to_unit(config)
    assert unit.shape == (len(space),)
    assert np.all((unit > -1e-9) & (unit < 1 + 1e-9))
    assert space.from_unit(unit) == config
    assert all(type(value) in (bool, int, float, str) for value in config.values())


@given(spaces(), st.integers(1, 5))
def test_a_grid_has_its_size_no_twins_and_possible_configs_only(space: SearchSpace, resolution: int) -> None:
    grid = space.grid(resolution)
    assert len(grid) == space.grid_size(resolution)
    assert len({tuple(config.values()) for config in grid}) == len(grid)
    assert all(space.contains(config) for config in grid)


@given(parameters(), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_snapping_many_positions_agrees_with_single_values(parameter: Parameter, units: list[float]) -> None:
    if isinstance(parameter, CategoricalParameter):
        return
    start, end = parameter.extent
    positions = start + np.array(units) * (end - start)
    singly = [parameter.to_scale(parameter.from_scale(float(position))) for position in positions]
    scale = max(1.0, abs(start), abs(end))
    assert np.allclose(parameter.snap(positions), singly, atol=2e-5 * (end - start) + 1e-9 * scale, rtol=1e-9)


def test_a_finite_space_lists_its_configs() -> None:
    space = SearchSpace(
        parameters=(
            IntParameter(name="n", low=1, high=9, scale="log"),
            PowerOfTwoParameter(name="b", low=4, high=16),
            CategoricalParameter(name="a", choices=("x", True)),
            FloatParameter(name="f", low=0.5, high=0.5),
        )
    )
    configs = space.list_configs()
    assert len(configs) == space.size == 9 * 3 * 2
    assert all(space.contains(config) for config in configs)
    assert configs[0] == {"n": 1, "b": 4, "a": "x", "f": 0.5}
    assert FloatParameter(name="f", low=0, high=1).list_values() == [0.0, 1.0]


@given(spaces())
def test_spaces_survive_json(space: SearchSpace) -> None:
    assert SearchSpace.model_validate_json(space.model_dump_json()) == space


def test_the_guides_defaults_have_the_right_kinds() -> None:
    kinds = {name: parameter.kind for name, parameter in GUIDE_PARAMETERS.items()}
    assert len(kinds) == 8
    assert kinds["n_steps"] == kinds["batch_size"] == "power_of_two"
    assert [name for name, p in GUIDE_PARAMETERS.items() if isinstance(p, FloatParameter) and p.scale == "log"] == [
        "policy_lr"
    ]
    space = SearchSpace(parameters=(GUIDE_PARAMETERS["policy_lr"], GUIDE_PARAMETERS["n_steps"]))
    assert space.bounds == {"policy_lr": [1e-4, 1e-2], "n_steps": [64, 1024]}
    assert space["policy_lr"].grid(5) == pytest.approx([1e-4, 10**-3.5, 1e-3, 10**-2.5, 1e-2], rel=1e-4)
    assert space["n_steps"].grid(5) == [64, 128, 256, 512, 1024]


def test_grids_thin_out_evenly_and_hold_both_bounds() -> None:
    assert FloatParameter(name="x", low=0.8, high=0.99).grid(5) == [0.8, 0.8475, 0.895, 0.9425, 0.99]
    assert IntParameter(name="x", low=1, high=3).grid(5) == [1, 2, 3]
    assert IntParameter(name="x", low=1, high=100, scale="log").grid(3) == [1, 10, 100]
    assert PowerOfTwoParameter(name="x", low=1, high=16).grid(3) == [1, 4, 16]
    assert CategoricalParameter(name="x", choices=("a", "b", "c")).grid(2) == ["a", "b", "c"]
    assert FloatParameter(name="x", low=0, high=1).grid(1) == [0.5]


def test_integers_have_equal_shares_of_the_unit_interval() -> None:
    parameter = IntParameter(name="x", low=1, high=4)
    drawn = [parameter.from_unit((number + 0.5) / 400) for number in range(400)]
    assert [drawn.count(value) for value in (1, 2, 3, 4)] == [100, 100, 100, 100]


@pytest.mark.parametrize(
    ("parameter", "inside", "outside"),
    [
        (FloatParameter(name="x", low=0, high=1), [0.0, 1, 0.5], [-0.1, 1.1, True, "0.5", math.nan]),
        (IntParameter(name="x", low=1, high=9), [1, 9, 5.0], [0, 10, 5.5, False]),
        (PowerOfTwoParameter(name="x", low=2, high=16), [2, 16, 8.0], [1, 32, 6, 4.5]),
        (CategoricalParameter(name="x", choices=("a", 2, True)), ["a", 2, True], ["b", 3, False]),
    ],
)
def test_contains(parameter: Parameter, inside: list[float], outside: list[float]) -> None:
    assert all(parameter.contains(value) for value in inside)
    assert not any(parameter.contains(value) for value in outside)


def test_a_space_is_a_mapping_of_names() -> None:
    space = SearchSpace(
        parameters=(FloatParameter(name="b", low=0, high=1), CategoricalParameter(name="a", choices=(1, "z")))
    )
    assert space.names == ("b", "a")
    assert "a" in space
    assert "c" not in space
    assert space.size is None
    with pytest.raises(KeyError):
        space["c"]
    assert not space.contains({"b": 0.5})
    assert SearchSpace(parameters=(space["a"], IntParameter(name="n", low=1, high=3))).size == 6
    assert FloatParameter(name="x", low=1, high=1).size == 1
    assert PowerOfTwoParameter(name="x", low=64, high=1024).size == 5


def test_a_range_of_width_zero_is_a_single_value() -> None:
    for parameter in (
        FloatParameter(name="x", low=0.5, high=0.5),
        FloatParameter(name="x", low=0.5, high=0.5, scale="log"),
        IntParameter(name="x", low=3, high=3),
        PowerOfTwoParameter(name="x", low=8, high=8),
    ):
        assert parameter.to_unit(parameter.low) == 0.5 or parameter.from_unit(0.2) == parameter.low
        assert {parameter.from_unit(unit) for unit in (0.0, 0.5, 1.0)} == {parameter.low}


def test_descriptions_say_kind_and_scale() -> None:
    assert FloatParameter(name="lr", low=1e-4, high=0.01, scale="log").describe() == "lr 0.0001 to 0.01 (log)"
    assert FloatParameter(name="g", low=0.95, high=0.999).describe() == "g 0.95 to 0.999"
    assert IntParameter(name="n", low=1, high=4).describe() == "n 1 to 4 (int)"
    assert IntParameter(name="n", low=1, high=4, scale="log").describe() == "n 1 to 4 (int, log)"
    assert PowerOfTwoParameter(name="b", low=1, high=4).describe() == "b 1 to 4 (powers of two)"
    assert CategoricalParameter(name="act", choices=("relu", True)).describe() == "act one of relu, True"


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: FloatParameter(name="x", low=2, high=1), "minimum 2 above its maximum 1"),
        (lambda: FloatParameter(name="x", low=0, high=1, scale="log"), "log scale"),
        (lambda: IntParameter(name="x", low=0, high=4, scale="log"), "log scale"),
        (lambda: FloatParameter(name="x", low=0, high=math.inf), "not a finite"),
        (lambda: FloatParameter(name="x", low=-1.7e308, high=1.7e308), "not a finite"),
        (lambda: PowerOfTwoParameter(name="x", low=3, high=8), "its bound 3 is not one"),
        (lambda: PowerOfTwoParameter(name="x", low=0, high=8), "its bound 0 is not one"),
        (lambda: CategoricalParameter(name="x", choices=()), "no values"),
        (lambda: CategoricalParameter(name="x", choices=(1, 1.0)), "twice"),
        (lambda: CategoricalParameter(name="x", choices=(math.nan,)), "not a finite"),
        (lambda: SearchSpace(parameters=()), "No parameter"),
        (lambda: SearchSpace(parameters=(FloatParameter(name="x", low=0, high=1),) * 2), "named twice"),
    ],
)
def test_nonsense_is_refused_in_words(build: object, complaint: str) -> None:
    assert callable(build)
    with pytest.raises(ValidationError, match=complaint):
        build()


def test_the_kind_tells_parameters_apart() -> None:
    adapter: TypeAdapter[Parameter] = TypeAdapter(Parameter)
    loaded = adapter.validate_python({"kind": "categorical", "name": "x", "choices": [True, 1.5, 3, "s"]})
    assert isinstance(loaded, CategoricalParameter)
    assert [type(choice) for choice in loaded.choices] == [bool, float, int, str]


@pytest.mark.parametrize("name", ["lr", "clip-coef", "agent.tau", "ppo/update_epochs", "Buffer_Size"])
def test_the_field_has_ranges_for_names_of_other_libraries(name: str) -> None:
    found = find_field_range(name)
    assert found is not None
    assert found.parameter.name == name
    assert found.source


def test_each_name_of_the_field_has_one_range() -> None:
    names = [name for one in FIELD_RANGES for name in one.names]
    assert len(names) == len(set(names))
    assert find_field_range("lattice") is None
