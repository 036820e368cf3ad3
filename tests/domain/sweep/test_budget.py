import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from multistage.domain.sweep.budget import (
    Split,
    bound_workers,
    check_budget,
    count_finalists,
    parse_finalists,
    parse_split,
    split_budget,
)
from multistage.errors import BudgetError


def test_the_guides_budget() -> None:
    assert split_budget(500, Split()) == (150, 250, 100)
    assert split_budget(30, Split()) == (9, 15, 6)
    assert split_budget(10, parse_split("98/1/1")) == (8, 1, 1)
    assert split_budget(11, Split()) == (3, 6, 2)


@given(st.integers(10, 100_000), st.integers(1, 98), st.data())
def test_a_split_always_sums_and_leaves_no_stage_empty(total: int, one: int, data: st.DataObject) -> None:
    two = data.draw(st.integers(1, 99 - one))
    shares = (one, two, 100 - one - two)
    runs = split_budget(total, Split(shares=shares))
    assert sum(runs) == total
    assert min(runs) >= 1
    assert all(abs(run - total * share / 100) < 1 or min(runs) == 1 for run, share in zip(runs, shares, strict=True))


@given(st.integers(0, 9))
def test_tiny_totals_still_sum(total: int) -> None:
    assert sum(split_budget(total, Split())) == total


@pytest.mark.parametrize("text", ["30/50/20", " 30 / 50 / 20 "])
def test_a_split_reads_and_prints_itself(text: str) -> None:
    assert str(parse_split(text)) == "30/50/20"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30/50/30", "sums to 110, not to 100"),
        ("0/80/20", "leaves a stage without runs"),
        ("30/70", "not a split"),
        ("a/b/c", "not a split"),
        ("-10/90/20", "not a split"),
        ("33.3/33.3/33.4", "not a split"),
    ],
)
def test_a_wrong_split_is_refused(text: str, message: str) -> None:
    with pytest.raises(BudgetError) as caught:
        parse_split(text)
    assert message in caught.value.message
    assert "30/50/20" in caught.value.hint


def test_a_split_read_from_a_file_is_checked_too() -> None:
    with pytest.raises(ValidationError, match="sum to 90"):
        Split(shares=(30, 50, 10))
    with pytest.raises(ValidationError, match="without runs"):
        Split(shares=(0, 50, 50))


def test_a_budget_too_small_for_three_stages_is_refused() -> None:
    with pytest.raises(BudgetError, match="at least 10"):
        check_budget(9)
    check_budget(10)


def test_finalists_come_with_the_budget() -> None:
    assert [count_finalists(total) for total in (10, 50, 100, 150, 500)] == [0, 0, 9, 18, 60]
    counts = [count_finalists(total) for total in range(1000)]
    assert counts == sorted(counts)


@pytest.mark.parametrize(
    ("text", "total", "stage3", "count"),
    [
        ("auto", 150, 30, 18),
        ("auto", 500, 10, 6),
        ("0", 500, 100, 0),
        ("20", 500, 100, 20),
        ("12%", 150, 30, 18),
    ],
)
def test_the_finalists_option(text: str, total: int, stage3: int, count: int) -> None:
    assert parse_finalists(text, total, stage3) == count


@pytest.mark.parametrize(
    ("text", "message"), [("many", "not a number"), ("-1", "not a number"), ("40%", "than the 30")]
)
def test_a_wrong_finalists_option_is_refused(text: str, message: str) -> None:
    with pytest.raises(BudgetError, match=message):
        parse_finalists(text, 150, 30)


def test_no_worker_is_wanted_that_would_have_nothing_to_do() -> None:
    assert bound_workers(8, 10, Split()) == 5
    assert bound_workers(8, 100, Split()) == 8
