"""What users get wrong is said before the night, with its remedy; a sound plan is left alone."""

import re
from typing import Any

import pytest

from multistage.domain.space.grammar import parse_params
from multistage.domain.sweep.advice import advise, estimate_seconds
from multistage.domain.sweep.plan import HYPERBAND, SweepPlan, plan_sweep
from tests.states import make_settings


def plan(params: str = "lr:log:1e-5-1e-2,momentum:0.1-0.9", **changes: Any) -> SweepPlan:
    space = parse_params(params, {}) if ":" in params else parse_params(params)
    return plan_sweep(make_settings(**{"space": space, "budget": 500} | changes))


def test_a_sound_plan_is_left_alone() -> None:
    assert advise(plan(), workers=8, rows=200) == ()
    assert advise(plan(early_terminate=dict(HYPERBAND)), workers=8, rows=101) == ()
    (grid,) = advise(plan("gae_lambda,vf_coef,ent_coef,policy_lr"), workers=8)
    assert grid.startswith(
        "The grid of 625 points does not fit stage 1's 150 runs, which take Sobol points. Lower --grid"
    )


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ("policy_lr:1e-4-1e-2", "write policy_lr:log:0.0001-0.01"),
        ("learning_rate:0-0.1", "give learning_rate:log a minimum above 0"),
        ("optimizer/lr:1e-3-1e-2", "linear scale"),
        ("alpha:1e-4-1", "spans a factor of 1e+04 on a linear scale"),
        ("n_layers:1-4", "write n_layers:int:1-4 for whole ones"),
        ("batch_size:32-512", "real numbers such as 272.25"),
    ],
)
def test_a_range_that_is_searched_in_a_bad_way_is_named(params: str, words: str) -> None:
    (warning,) = advise(plan(params), workers=2)
    assert words in warning


@pytest.mark.parametrize(
    "params",
    [
        "lr:2e-3-9e-3",
        "lr:log:1e-4-1e-2",
        "salary:0-1",
        "size_factor:0.5-1.5",
        "width:int:1-900",
        "lr:-1--0.1",
        "steps:0-1",
    ],
)
def test_a_range_that_is_fine_is_left_alone(params: str) -> None:
    assert advise(plan(params), workers=2) == ()


@pytest.mark.parametrize(
    ("metric", "goal", "warned"),
    [
        ("val/loss", "maximize", True), ("val/loss", "minimize", False), ("val/accuracy", "minimize", True),
        ("val/accuracy", "maximize", False), ("train/roll/ep_rew/mean", "minimize", True), ("gloss", "maximize", False),
        ("loss_score", "minimize", False),
    ],
)  # fmt: skip
def test_a_goal_against_the_metrics_name_is_named(metric: str, goal: str, warned: bool) -> None:
    assert bool(advise(plan(metric=metric, goal=goal), workers=2)) == warned


def test_usual_values_outside_the_ranges_are_named() -> None:
    space = parse_params("lr:log:1e-5-1e-2,act:[relu|tanh]", {})
    (told,) = advise(plan_sweep(make_settings(space=space, budget=500, baseline={"lr": 0.1, "act": "elu"})), 2)
    assert told.endswith("lr 0.1 (outside 1e-05-0.01), act elu (not one of its choices).")
    inside = make_settings(space=space, budget=500, baseline={"lr": 1e-3, "act": "relu"})
    assert advise(plan_sweep(inside), 2) == ()


@pytest.mark.parametrize(
    ("changes", "workers", "words"),
    [
        ({"budget": 299}, 2, "299 runs are few"),
        ({"params": ",".join(f"p{number}:0-1" for number in range(16)), "stage1": "sobol"}, 2, "Raise --budget to 534"),
        ({"params": "act:[a|b],k:int:1-4"}, 2, "only 8 different configs for 500 runs"),
        ({}, 251, "more than the 250 runs"),
        ({}, 84, "Lower --workers to 83"),
        ({"search": "wandb", "params": "a:0-1,b:0-1,c:0-1,d:0-1"}, 84, "which take random configs"),
        ({"early_terminate": dict(HYPERBAND)}, 2, "a run logs 40: it will stop none"),
    ],
)
def test_a_budget_that_does_not_suit_is_named(changes: dict[str, Any], workers: int, words: str) -> None:
    (warning,) = advise(plan(**changes), workers, rows=40)
    assert words in warning


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"params": "lr:log:1e-5-1e-2"}, "Raise --grid-resolution to 10."),
        ({"params": "lr:log:1e-5-1e-2", "search": "wandb", "stage1": "auto"}, "Raise --grid-resolution to 10."),
        ({"grid_resolution": 2}, "Raise --grid-resolution to 5."),
        ({"params": "lr:log:1e-5-1e-2", "budget": 20}, "Raise --budget to 300, or use --stage1 auto."),
        ({"params": "lr:log:1e-5-1e-2", "budget": 20, "search": "wandb"}, "or raise --budget and --grid-resolution."),
        ({"params": ",".join(f"p{number}:0-1" for number in range(5)), "grid_resolution": 2}, "Use --stage1 auto."),
    ],
)
def test_a_small_grid_is_not_widened_by_a_budget(changes: dict[str, Any], remedy: str) -> None:
    asked = {"stage1": "grid"} | changes
    (told,) = advise(plan(**asked), workers=1)
    assert told.endswith(remedy)
    found = re.search(r"--grid-resolution to (\d+)", told)
    if found is not None:
        assert advise(plan(**asked | {"grid_resolution": int(found[1])}), workers=1) == ()


def test_what_is_few_is_said_in_one_text() -> None:
    (told,) = advise(plan(budget=10), workers=2)
    for words in (
        "10 runs are few",
        "stage 1 has 3 for 2 parameters",
        "grid of 25 points",
        "2 workers leave the search",
    ):
        assert words in told
    assert told.endswith("Raise --budget to 300, or lower --workers to 1.")
    (told,) = advise(plan("a:0-1,b:0-1,c:0-1,d:0-1", grid_resolution=4), workers=84)
    assert told.endswith("Lower --grid-resolution, or lower --workers to 83.")


def test_what_spoils_the_sweep_comes_before_what_is_few() -> None:
    poor = plan("lr:1e-4-1e-2", budget=10, metric="loss", early_terminate=dict(HYPERBAND))
    told = advise(poor, workers=2, rows=40, notes=("1e-3 is read as a number.", "1e-3 is read as a number."))
    first = ["loss is maximized,", "1e-3 is read", "lr looks like", "10 runs are", "Hyperband looks"]
    assert [text.startswith(start) for text, start in zip(told, first, strict=True)] == [True] * 5


def test_a_sweep_takes_as_long_as_its_rounds() -> None:
    assert estimate_seconds(plan(), workers=1, run_seconds=2) == 1000
    assert estimate_seconds(plan(), workers=100, run_seconds=60) == (2 + 3 + 1) * 60
