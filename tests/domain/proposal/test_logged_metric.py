import math

import pytest

from multistage.domain.proposal.logged_metric import (
    flatten_numbers,
    guess_metric,
    has_seen_enough,
    join_summary,
    list_others,
)


def rows(**curves: list[float]) -> list[dict[str, float]]:
    length = max(map(len, curves.values()))
    return [
        {key.replace("__", "/"): values[place] for key, values in curves.items() if place < len(values)}
        | {"_step": place}
        for place in range(length)
    ]


@pytest.mark.parametrize(
    ("logged", "metric", "goal"),
    [
        (rows(loss=[3, 2], val__loss=[3, 2]), "val/loss", "minimize"),
        (rows(val__loss=[3, 2], val__acc=[0.1, 0.2]), "val/acc", "maximize"),
        (rows(test__acc=[1, 2], val__acc=[1, 2]), "val/acc", "maximize"),
        (rows(losses__td_loss=[2, 1], charts__episodic_return=[1, 2]), "charts/episodic_return", "maximize"),
        (rows(epoch=[1, 2, 3], lr=[1, 2, 3], foo=[9, 5, 4]), "foo", "minimize"),
        (rows(foo=[4, 5.5, 9]), "foo", "maximize"),
        (rows(seen=[1, 2, 3], foo=[4]), "foo", "maximize"),
        (rows(score=[0.0, 0.0], reward=[0.0, 1.0]), "reward", "maximize"),
    ],
)
def test_an_evaluation_before_training_and_a_return_before_a_loss(
    logged: list[dict[str, float]], metric: str, goal: str
) -> None:
    guess = guess_metric(logged)
    assert guess is not None
    assert (guess.metric, guess.goal) == (metric, goal)


def test_how_the_direction_was_told() -> None:
    told = [guess_metric(one) for one in (rows(score=[1]), rows(foo=[1, 2.5]), rows(foo=[1]))]
    assert [(one.reason, one.certain) for one in told if one] == [
        ("logged 1 time; maximize by its name", True),
        ("logged 2 times; maximize by its curve, which its name does not say", False),
        ("logged 1 time; maximize a guess", False),
    ]


@pytest.mark.parametrize("logged", [[], rows(epoch=[1, 2]), [{"_step": 1.0}]])
def test_what_only_counts_judges_nothing(logged: list[dict[str, float]]) -> None:
    assert guess_metric(logged) is None
    assert not has_seen_enough(logged)


@pytest.mark.parametrize(
    ("logged", "enough"),
    [
        (rows(val__loss=[3, 2, 1]), True),
        (rows(val__loss=[3, 2]), False),
        (rows(score=[3, 2, 1]), True),
        (rows(loss=[3, 2, 1]), False),
        (rows(val__foo=[3, 2, 1.5]), False),
    ],
)
def test_a_loss_of_training_alone_may_be_followed_by_an_evaluation(
    logged: list[dict[str, float]], enough: bool
) -> None:
    assert has_seen_enough(logged) is enough


def test_other_keys_that_could_be_meant() -> None:
    assert list_others(rows(epoch=[1, 2], loss=[2, 1], acc=[1, 2]), "acc") == ("loss",)


def test_numbers_of_nested_rows() -> None:
    row = {
        "val": {"loss": 1, "name": "x"},
        "table": {"_type": "table-file", "ncols": 2},
        "ok": True,
        "n": 2,
        "nan": math.inf,
    }
    assert flatten_numbers(row) == {"val.loss": 1.0, "n": 2.0, "nan": math.inf}


def test_what_stands_in_the_summary_alone_is_one_row_more() -> None:
    assert join_summary([{"loss": 2}, {"text": "x"}], {"loss": 1, "best": 3}) == ({"loss": 2.0}, {"best": 3.0})
    assert join_summary([{"val": {"loss": 2}}], {"val": {"loss": 2}}) == ({"val.loss": 2.0},)
    assert join_summary([{"loss": 2}], {"loss": {"min": 2}}) == ({"loss": 2.0},)
