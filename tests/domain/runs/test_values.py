"""Values as people type them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multistage.domain.runs.results import Value
from multistage.domain.runs.values import looks_like_number, read_value, require_number, write_value
from multistage.domain.space.grammar import format_parameter, parse_params
from multistage.domain.space.parameters import CategoricalParameter
from multistage.domain.sweep.request import write_assignments

NUMBERS: dict[str, int | float] = {
    "3": 3, "+3": 3, "-0": 0, "0": 0, " 3 ": 3, "0.5": 0.5, ".5": 0.5, "5.": 5.0, "1.0": 1.0, "-2.25": -2.25,
    "1e-3": 0.001, "3e-5": 3e-5, "1e6": 1e6, "1E6": 1e6, "+1.50e+2": 150.0, ".5e1": 5.0, "0e0": 0.0, "0.0e-999": 0.0,
    "9223372036854775807": 2**63 - 1,
}  # fmt: skip
TEXTS = [
    "2024_01_15", "1_000", "007", "01", "-01", "00", "1.10", "0.10", "1.00", "12e45678", "1e-99999", "01e5", "0x1f",
    "0o7", "1j", "1e", "e5", ".", "-", "+", "", " ", "inf", "-inf", ".inf", "nan", "NaN", "Infinity", "null", "None",
    "~",
    "yes", "no", "on", "off", "Yes", "tRUE", "\u0663", "1\u0663", "\uff13", "9223372036854775808", "1" + "0" * 5000,
    "np.float64(0.1)", "1,5", "--3", "relu", " relu ", "a=b", "'8'", '"', '"a', '"a"b"', "[1, 2]",
]  # fmt: skip


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_what_says_a_number_is_one_of_its_kind(text: str, number: float) -> None:
    assert read_value(text) == number
    assert type(read_value(text)) is type(number)


@pytest.mark.parametrize("text", TEXTS)
def test_what_would_lose_something_as_a_number_stays_as_it_was_typed(text: str) -> None:
    assert read_value(text) == text


def test_booleans_are_those_of_yaml_and_quotes_make_a_text() -> None:
    assert [read_value(text) for text in ("true", "True", "TRUE", " true\n")] == [True] * 4
    assert [read_value(text) for text in ("false", "False", "FALSE")] == [False] * 3
    assert [read_value(text) for text in ('"8"', '"true"', '""', r'"a\"b"')] == ["8", "true", "", 'a"b']


def test_where_only_a_number_can_stand_any_writing_of_it_will_do() -> None:
    assert [require_number(one) for one in ("1.10", "007", " 1e-3 ", 3, 0.5)] == [1.1, 7, 0.001, 3, 0.5]
    for wrong in ("x", "inf", "", True, None, math.nan, math.inf, 10**400, "9" * 5000, [1]):
        assert require_number(wrong) is None
    assert [one for one in (*NUMBERS, *TEXTS) if looks_like_number(one)] == [
        "007", "01", "-01", "00", "1.10", "0.10", "1.00", "12e45678", "1e-99999", "01e5", "9223372036854775808",
        "1" + "0" * 5000,
    ]  # fmt: skip


numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text() | st.sampled_from([*NUMBERS, *TEXTS, "true", "False", '"8"']) | numbers.map(repr)
values = st.booleans() | numbers | texts


@given(values)
def test_what_is_written_reads_back_with_its_kind(value: Value) -> None:
    [assignment] = write_assignments({"x": value})
    for read in (read_value(write_value(value)), read_value(assignment.removeprefix("x="))):
        assert (type(read), read) == (type(value), value)


@given(texts)
def test_no_text_becomes_anything_but_a_finite_value(text: str) -> None:
    read = read_value(text)
    assert not isinstance(read, float) or math.isfinite(read)


@given(st.lists(values, min_size=1, max_size=4, unique_by=lambda value: (str(value), value)))
def test_choices_read_back_with_their_kinds(choices: list[Value]) -> None:
    if len(set(choices)) < len(choices):
        return
    parameter = CategoricalParameter(name="x", choices=tuple(choices))
    read = parse_params(format_parameter(parameter)).parameters
    assert read == (parameter,)
    assert [type(one) for one in read[0].list_values()] == [type(one) for one in choices]
