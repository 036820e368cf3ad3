import pytest
from hypothesis import given
from hypothesis import strategies as st

from multistage.domain.runs.comparison import average, measure_gain


def test_a_mean_has_students_interval() -> None:
    found = average([1.0, 2.0, 3.0])
    assert found is not None
    assert found.mean == 2.0
    # t with 2 degrees of freedom is 4.302653 at 97.5%.
    assert found.interval == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))


def test_one_run_has_no_interval_and_none_no_mean() -> None:
    assert average([]) is None
    one = average([1.5])
    assert one is not None
    assert (one.mean, one.interval, one.runs) == (1.5, None, 1)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=9))
def test_a_gain_turns_with_the_goal(pairs: list[tuple[float, float]]) -> None:
    mine, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    more, less = measure_gain(mine, theirs, "maximize"), measure_gain(mine, theirs, "minimize")
    assert more is not None
    assert less is not None
    assert more.mean == -less.mean == pytest.approx(sum(mine) / len(mine) - sum(theirs) / len(theirs), abs=1e-9)


def test_a_seed_that_failed_for_either_counts_for_neither() -> None:
    gain = measure_gain([1.0, None, 3.0], [0.5, 1.0, None], "maximize")
    assert gain is not None
    assert (gain.mean, gain.runs) == (0.5, 1)
    assert measure_gain([None], [1.0], "maximize") is None
