import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multistage.domain.space.defaults import GUIDE_PARAMETERS
from multistage.domain.space.grammar import expand_params, format_parameter, note_choices, parse_names, parse_params
from multistage.domain.space.layout import Place, separate_choices
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.errors import SpaceError


def real(low: float, high: float) -> FloatParameter:
    return FloatParameter(name="x", low=low, high=high)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x:-1--0.5", real(-1, -0.5)),
        ("x:-1-1", real(-1, 1)),
        ("x:1e-4-1e-2", real(1e-4, 1e-2)),
        ("x:-1e-4--1e-5", real(-1e-4, -1e-5)),
        ("x:.5-1.", real(0.5, 1)),
        ("x: 0.5 - 1 ", real(0.5, 1)),
        ("x:+1-+2", real(1, 2)),
        ("x:1E2-1E+3", real(100, 1000)),
        ("x:log:1e-5-1", FloatParameter(name="x", low=1e-5, high=1, scale="log")),
        ("x:float:log:1-2", FloatParameter(name="x", low=1, high=2, scale="log")),
        ("x:int:-3-4", IntParameter(name="x", low=-3, high=4)),
        ("x:int:1e2-1e3", IntParameter(name="x", low=100, high=1000)),
        ("x:int:log:1-64", IntParameter(name="x", low=1, high=64, scale="log")),
        ("x:log:int:1-64", IntParameter(name="x", low=1, high=64, scale="log")),
        ("x:pow2:64-1024", PowerOfTwoParameter(name="x", low=64, high=1024)),
        ("x:log:pow2:64-1024", PowerOfTwoParameter(name="x", low=64, high=1024)),
        ("x:[a|b|c]", CategoricalParameter(name="x", choices=("a", "b", "c"))),
        ("x:[ 2 | -3 | 1e-3 ]", CategoricalParameter(name="x", choices=(2, -3, 1e-3))),
        ("x:[only]", CategoricalParameter(name="x", choices=("only",))),
        ("x:[a,b|c:d]", CategoricalParameter(name="x", choices=("a,b", "c:d"))),
    ],
)
def test_ranges(text: str, expected: Parameter) -> None:
    assert parse_params(text)["x"] == expected


def test_choices_keep_their_types() -> None:
    parameter = parse_params("x:[2|2.5|true|relu|3.0]")["x"]
    assert isinstance(parameter, CategoricalParameter)
    assert [type(choice) for choice in parameter.choices] == [int, float, bool, str, float]


def test_choices_named_twice_count_once_and_a_boolean_is_no_number() -> None:
    text = "x:[a|a|b],y:[1|1.0|true|true],z:[0.5|relu],lr:log:1e-5-1"
    space = parse_params(text)
    assert space.bounds == {"x": ["a", "b"], "y": [1, True], "z": [0.5, "relu"], "lr": [1e-5, 1.0]}
    assert note_choices(text) == (
        'x names "a" more than once among its values: each counts once.',
        "y names 1, true more than once among its values: each counts once.",
        "y has true beside an equal number among its values: they are kept apart.",
    )
    [many] = note_choices("x:[1|1|2|2|3|3|4|4]")
    assert "names 1, 2, 3 and others more than once" in many
    apart, layout = separate_choices(space)
    assert apart.bounds == space.bounds | {"y": ["1", "true"]}
    assert layout == {"y": Place(path=("y",), is_json=True)}
    with pytest.raises(ValueError, match="same choice twice"):
        CategoricalParameter(name="x", choices=(1, 1.0))


def test_known_names_bring_their_range_and_keep_their_kind() -> None:
    space = parse_params("gae_lambda, policy_lr:1e-5-1e-3 ,n_steps:32-128,batch_size:100-300,gamma:log:0.9-0.99")
    assert space.names == ("gae_lambda", "policy_lr", "n_steps", "batch_size", "gamma")
    assert space["gae_lambda"] == GUIDE_PARAMETERS["gae_lambda"]
    assert space["policy_lr"] == FloatParameter(name="policy_lr", low=1e-5, high=1e-3, scale="log")
    assert space["n_steps"] == PowerOfTwoParameter(name="n_steps", low=32, high=128)
    assert space["batch_size"] == IntParameter(name="batch_size", low=100, high=300, scale="log")
    assert space["gamma"] == FloatParameter(name="gamma", low=0.9, high=0.99, scale="log")


def test_words_change_a_known_parameter() -> None:
    assert parse_params("policy_lr:linear:0-0.01")["policy_lr"] == FloatParameter(name="policy_lr", low=0, high=0.01)
    assert parse_params("policy_lr:linear")["policy_lr"] == FloatParameter(name="policy_lr", low=1e-4, high=1e-2)
    assert parse_params("n_steps:linear:64-128")["n_steps"] == IntParameter(name="n_steps", low=64, high=128)
    assert parse_params("n_steps:float:0.5-2")["n_steps"] == FloatParameter(name="n_steps", low=0.5, high=2)
    assert parse_params("n_steps:[64|128]")["n_steps"] == CategoricalParameter(name="n_steps", choices=(64, 128))


def test_a_trainers_own_parameters_replace_the_guides() -> None:
    known: dict[str, Parameter] = {
        "hidden": CategoricalParameter(name="hidden", choices=(16, 64)),
        "act": CategoricalParameter(name="act", choices=("relu", "tanh")),
        "layers": IntParameter(name="layers", low=1, high=8, scale="log"),
    }
    assert parse_params("hidden", known)["hidden"] == known["hidden"]
    assert parse_params("hidden:8-128", known)["hidden"] == IntParameter(name="hidden", low=8, high=128)
    assert parse_params("act:0-1", known)["act"] == FloatParameter(name="act", low=0, high=1)
    assert parse_params("layers:2-4", known)["layers"] == IntParameter(name="layers", low=2, high=4, scale="log")
    with pytest.raises(SpaceError, match="choices, and no range"):
        parse_params("hidden:log", known)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "No parameter", "gae_lambda"),
        ("   ", "No parameter", "gae_lambda"),
        ("gae_lamda", "gae_lamda has no range", "Did you mean gae_lambda?"),
        ("foo", "foo has no range", "Known without a range: gae_lambda"),
        ("foo:int", "foo has no range", "foo:min-max"),
        ("x:2-1", "minimum 2 above its maximum 1", "smaller bound first"),
        ("x:log:0-1", "log scale", "above 0"),
        ("x:log:-1-1", "log scale", "above 0"),
        ("x:int:log:0-9", "log scale", "above 0"),
        ("policy_lr:0-1e-2", "log scale", "policy_lr:linear:min-max"),
        ("x:1-1", "width zero", "x:[1]"),
        ("x:1-2,x:1-3", "x is named twice", "once"),
        ("gamma,,gae_lambda", "empty entry", "comma"),
        ("gamma,", "empty entry", "comma"),
        ("a b:1-2", "not a valid name", "letters"),
        (":1-2", "not a valid name", "letters"),
        ("x;rm:1-2", "not a valid name", "letters"),
        ("x:1", "where a range should be", "name:min-max"),
        ("x:a-b", "where a range should be", "name:min-max"),
        ("x:", "where a range should be", "name:min-max"),
        ("x:nan-1", "where a range should be", "name:min-max"),
        ("x:0-inf", "where a range should be", "name:min-max"),
        ("x:0-1e999", "finite", "Write"),
        ("x:quadratic:1-2", "unknown word", "name:WORD"),
        ("x:log:linear:1-2", "the same thing twice", "name:WORD"),
        ("x:int:int:1-2", "the same thing twice", "name:WORD"),
        ("x:int:0.5-2", "whole numbers", "x:float:0.5-2"),
        ("x:pow2:0.5-2", "whole numbers", "x:float:0.5-2"),
        ("x:pow2:3-8", "powers of two", "x:int"),
        ("x:pow2:linear:4-8", "log scale", "x:int:4-8"),
        ("x:[]", "where choices", "x:[a|b|c]"),
        ("x:[a||b]", "where choices", "x:[a|b|c]"),
        ("x:[a|b", "where choices", "x:[a|b|c]"),
        ("x:int:[1|2]", "neither a scale nor a kind", "x:[1|2]"),
    ],
)
def test_nonsense_is_refused_with_a_remedy(text: str, message: str, hint: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse_params(text)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_without_known_names_the_hint_shows_the_forms() -> None:
    with pytest.raises(SpaceError, match="name:min-max"):
        parse_params("foo", {})


numbers = st.floats(-1e12, 1e12, allow_nan=False).map(repr) | st.integers(-(10**6), 10**6).map(str)


@given(numbers, numbers)
def test_any_two_numbers_make_a_range(one: str, other: str) -> None:
    low, high = sorted((one, other), key=float)
    if float(low) == float(high):
        return
    assert parse_params(f"x:{low}-{high}")["x"] == FloatParameter(name="x", low=float(low), high=float(high))


@given(st.text(st.sampled_from("ab_x:-.,[]|0159e+ \n"), max_size=30))
def test_any_text_is_a_space_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(SpaceError):
        assert len(parse_params(text)) >= 1


KNOWN: dict[str, Parameter] = {
    "a": IntParameter(name="a", low=1, high=9, scale="log"),
    "b": PowerOfTwoParameter(name="b", low=2, high=8),
    "c": CategoricalParameter(name="c", choices=(True, 1.5, "x", 3)),
}


@given(st.data(), st.sampled_from(["a", "b", "c", "new"]))
def test_a_parameter_that_is_written_reads_back_whatever_is_known(data: st.DataObject, name: str) -> None:
    low, high = sorted(data.draw(st.lists(st.integers(1, 40), min_size=2, max_size=2, unique=True)))
    scale = data.draw(st.sampled_from(["linear", "log"]))
    every: list[Parameter] = [
        FloatParameter(name=name, low=low / 7, high=high / 7, scale=scale),
        FloatParameter(name=name, low=-high * 1e-9, high=low * 1e22),
        IntParameter(name=name, low=low, high=high, scale=scale),
        PowerOfTwoParameter(name=name, low=1 << low, high=1 << high),
        CategoricalParameter(name=name, choices=(False, low + 1, high + 0.5, "relu")),
    ]
    parameter = data.draw(st.sampled_from(every))
    assert parse_params(format_parameter(parameter), KNOWN).parameters == (parameter,)


def test_what_a_file_knows_is_written_out_and_the_rest_stays() -> None:
    text = expand_params("a, b:int ,d,c:[p,q|r],a2:0-1,lr:log:1e-5-1", KNOWN)
    assert text == "a:int:log:1-9,b:int:linear:2-8,d,c:[p,q|r],a2:0-1,lr:log:1e-5-1"
    assert expand_params(text, KNOWN) == text
    assert parse_names("a, b:int ,d,c:[p,q|r],a2:0-1,lr:log") == ["a", "b", "d", "lr"]
    with pytest.raises(SpaceError):
        expand_params("a:what", KNOWN)
