import math
from typing import Any

import pytest

from multistage.domain.runs.metric import (
    MetricValue,
    extract_value,
    guess_goal,
    parse_metric_value,
    read_metric,
    suggest_metric,
)
from multistage.domain.runs.results import Goal
from multistage.errors import UsageError


@pytest.mark.parametrize("text", ["last", "best", "mean:1", "mean:25"])
def test_the_option_reads_and_prints_itself(text: str) -> None:
    assert str(parse_metric_value(text)) == text


@pytest.mark.parametrize("text", ["", "mean", "mean:0", "mean:-3", "mean:x", "median", "Last"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="mean:N"):
        parse_metric_value(text)


LAST, BEST, MEAN2 = MetricValue(), MetricValue(kind="best"), MetricValue(kind="mean", window=2)


@pytest.mark.parametrize(
    ("history", "summary", "how", "value"),
    [
        ([1, 5, 3], 3.5, LAST, 3.5),
        ([1, 5, 3], None, LAST, 3),
        ([], None, LAST, None),
        ([1, 5, 3], 3, BEST, 5),
        ([1, math.nan, math.inf, 3], 3, BEST, 3),
        ([], 7, BEST, 7),
        ([], None, MEAN2, None),
        ([1, 5, 3], 3, MEAN2, 4),
        ([5], 5, MEAN2, 5),
    ],
)
def test_values(history: list[float], summary: float | None, how: MetricValue, value: float | None) -> None:
    assert extract_value(history, summary, how, "maximize") == value


def test_the_best_of_a_minimized_metric_is_its_least() -> None:
    assert extract_value([3, 1, 2], 2, BEST, "minimize") == 1


def test_a_diverged_run_has_no_finite_value() -> None:
    for how in (BEST, MEAN2):
        value = extract_value([math.nan, math.nan], None, how, "maximize")
        assert value is not None
        assert math.isnan(value)
    value = extract_value([1, math.inf], 1, MEAN2, "maximize")
    assert value is not None
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("metric", "goal"),
    [("val/loss", "minimize"), ("charts/episodic_return", "maximize"), ("lr", None), ("loss/reward", None)],
)
def test_a_name_may_tell_which_way_is_better(metric: str, goal: Goal | None) -> None:
    assert guess_goal(metric) == goal


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        (("train/loss", "val/loss"), ("val/loss", "minimize")),
        (("eval/loss", "eval/return"), ("eval/return", "maximize")),
        (("epoch", "time"), ("epoch", "maximize")),
    ],
)
def test_an_evaluation_is_suggested_before_training_and_a_return_before_a_loss(
    logged: tuple[str, ...], expected: tuple[str, Goal]
) -> None:
    assert suggest_metric(logged, "maximize") == expected


@pytest.mark.parametrize(
    ("summary", "metric", "goal", "value"),
    [
        ({"score": 1}, "score", "maximize", 1.0),
        ({"val/acc": 0.5}, "val/acc", "maximize", 0.5),
        ({"val.acc": 0.5}, "val.acc", "maximize", 0.5),
        ({"val": {"acc": 0.5}}, "val.acc", "maximize", 0.5),
        ({"val": 0.5}, "val.acc", "maximize", None),
        ({"score": {"min": 1, "max": 2}}, "score", "maximize", 2.0),
        ({"score": {"min": 1, "max": 2}}, "score", "minimize", 1.0),
        ({"score": {"last": 3}}, "score", "minimize", 3.0),
        ({"score": {"mean": 3}}, "score", "minimize", 3.0),
        ({"score": {}}, "score", "minimize", None),
        ({"score": "Infinity"}, "score", "maximize", math.inf),
        ({"score": "-Infinity"}, "score", "maximize", -math.inf),
        ({"score": 10**400}, "score", "maximize", math.inf),
        ({"score": -(10**400)}, "score", "maximize", -math.inf),
        ({"score": "good"}, "score", "maximize", None),
        ({"score": True}, "score", "maximize", None),
        ({"score": None}, "score", "maximize", None),
        ({}, "score", "maximize", None),
    ],
)
def test_a_metric_is_read_from_whatever_summary(
    summary: dict[str, Any], metric: str, goal: str, value: float | None
) -> None:
    assert read_metric(summary, metric, goal) == value


def test_a_nan_stays_one() -> None:
    value = read_metric({"score": "NaN"}, "score", "maximize")
    assert value is not None
    assert math.isnan(value)
