import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multistage.domain.runs.results import Evaluation, Value
from multistage.domain.space.narrowing import Importance, Narrowing, narrow
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.domain.space.search_space import SearchSpace
from tests.domain.space.test_space import spaces


def leaders(*values: Value) -> list[Evaluation]:
    return [
        Evaluation(stage=1, index=index, config={"x": value}, outcome="finished", value=0.0)
        for index, value in enumerate(values)
    ]


def narrowed(parameter: Parameter, *values: Value, width: float = 2, current: Parameter | None = None) -> Narrowing:
    first = SearchSpace(parameters=(parameter,))
    return narrow(first, SearchSpace(parameters=(current,)) if current else first, leaders(*values), width)


def test_mean_and_standard_deviations_on_a_linear_scale() -> None:
    values = (0.4, 0.5, 0.6)
    result = narrowed(FloatParameter(name="x", low=0, high=1), *values)
    spread = float(np.std(values))
    assert result.space.bounds["x"] == pytest.approx([0.5 - 2 * spread, 0.5 + 2 * spread], abs=1e-4)
    assert narrowed(FloatParameter(name="x", low=0, high=1), *values, width=1).space.bounds["x"] == pytest.approx(
        [0.5 - spread, 0.5 + spread], abs=1e-4
    )
    note = result.notes[0]
    assert (note.name, note.before, note.edge) == ("x", (0.0, 1.0), "none")
    assert list(note.after) == result.space.bounds["x"]
    assert "top 3 configs centre on 0.5" in note.evidence


def test_learning_rates_narrow_by_their_order_of_magnitude() -> None:
    result = narrowed(FloatParameter(name="x", low=1e-5, high=1e-1, scale="log"), 1e-4, 1e-3, 1e-2)
    spread = math.log(10) * math.sqrt(2 / 3)
    expected = [1e-3 * math.exp(-2 * spread), 1e-3 * math.exp(2 * spread)]
    assert result.space.bounds["x"] == pytest.approx(expected, rel=1e-3)
    assert "centre on 0.001, give or take a factor of" in result.notes[0].evidence


def test_ranges_end_at_the_first_bounds_and_may_widen_again() -> None:
    first, current = FloatParameter(name="x", low=0, high=1), FloatParameter(name="x", low=0.4, high=0.5)
    result = narrowed(first, 0.0, 1.0, current=current)
    assert result.space.bounds["x"] == [0.0, 1.0]
    assert "widens from 0.4..0.5 to 0..1" in result.notes[0].evidence
    assert result.notes[0].edge == "both"


def test_edges_are_told() -> None:
    parameter = FloatParameter(name="x", low=0, high=1)
    assert narrowed(parameter, 0.01, 0.02).notes[0].edge == "low"
    assert narrowed(parameter, 0.99, 0.97).notes[0].edge == "high"
    assert "pinned at the upper bound 1, above which" in narrowed(parameter, 0.99, 0.97).notes[0].evidence
    assert narrowed(parameter, *np.linspace(0, 1, 9).tolist()).notes[0].edge == "none"


def test_one_leader_leaves_room() -> None:
    parameter = FloatParameter(name="x", low=0, high=1)
    assert narrowed(parameter, 0.5).space.bounds["x"] == [0.475, 0.525]
    assert narrowed(parameter, 0.0).space.bounds["x"] == [0.0, 0.05]
    assert narrowed(parameter, 1.0).space.bounds["x"] == [0.95, 1.0]
    assert narrowed(IntParameter(name="x", low=1, high=9), 4).space.bounds["x"] == [3, 5]
    assert narrowed(IntParameter(name="x", low=1, high=9, scale="log"), 1).space.bounds["x"] == [1, 2]
    assert narrowed(PowerOfTwoParameter(name="x", low=1, high=64), 64).space.bounds["x"] == [32, 64]
    assert narrowed(PowerOfTwoParameter(name="x", low=1, high=64), 8).space.bounds["x"] == [4, 16]


def test_whole_numbers_stay_whole() -> None:
    assert narrowed(IntParameter(name="x", low=0, high=100), 40, 50, 60).space.bounds["x"] == [34, 66]
    assert narrowed(PowerOfTwoParameter(name="x", low=1, high=4096), 64, 128, 256).space.bounds["x"] == [
        32,
        512,
    ]
    assert "give or take a factor" in narrowed(PowerOfTwoParameter(name="x", low=1, high=64), 8, 16).notes[0].evidence


def test_choices_are_those_seen_at_the_top_in_their_first_order() -> None:
    parameter = CategoricalParameter(name="x", choices=("a", "b", "c"))
    result = narrowed(parameter, "c", "a", "c")
    assert result.space.bounds["x"] == ["a", "c"]
    assert result.notes[0].evidence == "x keeps what the top 3 configs use, a (1), c (2), while b did not lead."
    assert "did not lead" not in narrowed(parameter, "a", "b", "c").notes[0].evidence


def test_what_cannot_narrow_stays() -> None:
    fixed = FloatParameter(name="x", low=0.5, high=0.5)
    assert narrowed(fixed, 0.5).space.bounds["x"] == [0.5, 0.5]
    assert "one value only" in narrowed(fixed, 0.5).notes[0].evidence
    parameter = FloatParameter(name="x", low=0, high=1)
    current = FloatParameter(name="x", low=0.2, high=0.3)
    assert narrowed(parameter, current=current).space.bounds["x"] == [0.2, 0.3]
    assert "no run has a value" in narrowed(parameter, current=current).notes[0].evidence
    small = IntParameter(name="x", low=1, high=2)
    assert "stays at 1..2" in narrowed(small, 1, 2).notes[0].evidence


def test_choices_that_do_not_matter_are_left_alone_and_all_say_how_much_they_do() -> None:
    first = SearchSpace(
        parameters=(
            FloatParameter(name="x", low=0, high=1),
            CategoricalParameter(name="act", choices=("a", "b", "c")),
            FloatParameter(name="y", low=0, high=1),
        )
    )
    top = [
        Evaluation(stage=1, index=i, config={"x": 0.5, "act": "b", "y": 0.5}, outcome="finished", value=0.0)
        for i in range(3)
    ]
    importance = {
        "x": Importance(share=0.02, matters=False),
        "act": Importance(share=0.03, matters=False),
        "y": Importance(share=0.95, matters=True),
    }
    result = narrow(first, first, top, 2, importance)
    assert result.space.bounds == {"x": [0.475, 0.525], "act": ["a", "b", "c"], "y": [0.475, 0.525]}
    x, act, y = result.notes
    assert x.evidence.endswith("and its 2% of the importance is no more than chance shows.")
    assert act.evidence.startswith("act is left alone at a or b or c, and its 3%")
    assert y.evidence.endswith("centre on 0.5, give or take 0, and it has 95% of the importance.")
    assert (x.importance, y.importance) == (0.02, 0.95)


def test_bounds_that_are_as_near_as_numbers_can_be_stay() -> None:
    smallest = FloatParameter(name="x", low=0.0, high=5e-324)
    assert narrowed(smallest, 0.0).space["x"] == smallest


@settings(max_examples=200)
@given(spaces(), st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), max_size=6), st.floats(0, 3))
def test_two_narrowings_stay_within_the_first_bounds_and_never_end_empty(
    first: SearchSpace, points: list[list[float]], width: float
) -> None:
    top = [
        Evaluation(stage=1, index=index, config=first.from_unit(point[: len(first)]), outcome="finished", value=0.0)
        for index, point in enumerate(points)
    ]
    second = narrow(first, first, top, width).space
    third = narrow(first, second, top[:1], width).space
    for space in (second, third):
        assert SearchSpace.model_validate(space.model_dump()) == space
        for was, now in zip(first.parameters, space.parameters, strict=True):
            assert was.kind == now.kind
            assert all(was.contains(value) for value in now.bounds)
            if isinstance(now, CategoricalParameter) or isinstance(was, CategoricalParameter):
                assert now.bounds
            elif was.low < was.high:
                assert now.low < now.high
