"""What a sweep will do, and what makes it the sweep that it is."""

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from multistage.domain.space.parameters import CategoricalParameter, FloatParameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep import plan
from multistage.domain.sweep.budget import Split
from multistage.domain.sweep.plan import (
    SweepPlan,
    SweepSettings,
    derive_seed,
    find_proposer,
    grow_stages,
    plan_sweep,
)
from multistage.errors import BudgetError

SPACE = SearchSpace(
    parameters=(FloatParameter(name="lr", low=1e-4, high=1e-2, scale="log"), FloatParameter(name="clip", low=0, high=1))
)
SETTINGS = SweepSettings(
    config_id="digits:mlp", space=SPACE, metric="val/accuracy", budget=100, split=Split(), entity="local", project="p"
)


def change(**changes: object) -> SweepSettings:
    return SweepSettings.model_validate({**SETTINGS.model_dump(), **changes})


@given(st.integers(10, 5000), st.integers(1, 98), st.integers(1, 98), st.sampled_from(["auto", "sobol"]))
def test_the_stages_always_add_up_to_the_budget(budget: int, first: int, second: int, stage1: str) -> None:
    if first + second >= 100:
        first, second = 30, 50
    split = Split(shares=(first, second, 100 - first - second))
    plan = plan_sweep(change(budget=budget, split=split, stage1=stage1))
    assert sum(stage.runs for stage in plan.stages) == budget
    assert [stage.stage for stage in plan.stages] == [1, 2, 3]
    assert all(stage.runs >= 1 for stage in plan.stages)


@pytest.mark.parametrize(
    ("budget", "resolution", "method", "points"),
    [(100, 5, "grid+sobol", 25), (100, 6, "sobol", 0), (100, 2, "grid+sobol", 4), (120, 6, "grid", 36)],
)
def test_auto_takes_the_grid_where_it_fits(budget: int, resolution: int, method: str, points: int) -> None:
    stage = plan_sweep(change(budget=budget, grid_resolution=resolution)).stages[0]
    assert (stage.method, stage.grid_points) == (method, points)
    assert stage.runs == round(0.3 * budget)


def test_sobol_takes_no_grid_though_it_fits() -> None:
    stage = plan_sweep(change(stage1="sobol", grid_resolution=2)).stages[0]
    assert (stage.method, stage.grid_points) == ("sobol", 0)


KNOWN = tuple({"lr": 10**-power, "clip": 0.5} for power in (2, 2.5, 3, 3.5, 4))


@pytest.mark.parametrize(
    ("changes", "prior", "points"),
    [
        ({"prior_configs": KNOWN}, 5, 25),
        ({"prior_configs": KNOWN, "baseline": {"lr": 0.5, "clip": 2.0}}, 5, 0),
        ({"prior_configs": KNOWN * 5}, 15, 0),
        ({"prior_configs": KNOWN, "stage1": "grid"}, 0, 25),
        ({}, 0, 25),
    ],
)
def test_a_prior_takes_up_to_half_of_stage_1_and_the_grid_what_fits_in_the_rest(
    changes: dict[str, object], prior: int, points: int
) -> None:
    stage = plan_sweep(change(budget=100, **changes)).stages[0]
    assert (stage.prior, stage.grid_points) == (prior, points)


def test_a_prior_is_part_of_the_identity_by_its_name() -> None:
    settings = change(prior="field", prior_configs=KNOWN)
    assert settings.hash_identity() != SETTINGS.hash_identity()
    assert SETTINGS.compare_identity(settings) == {"prior": ("none", "field")}
    assert SweepSettings.model_validate_json(settings.model_dump_json()).prior_configs == KNOWN


def test_what_a_grid_leaves_goes_to_stage_2() -> None:
    plan = plan_sweep(change(stage1="grid"))
    assert [stage.runs for stage in plan.stages] == [25, 55, 20]
    assert plan.stages[0].method == "grid"


USUAL = {"lr": 2e-3, "clip": 0.3}
CORNER = {"lr": 1e-4, "clip": 0.0}
"""A point of every grid."""


@pytest.mark.parametrize(
    ("budget", "usual", "method", "points"),
    [
        (100, USUAL, "grid+sobol", 25),
        (87, USUAL, "grid", 25),
        (83, USUAL, "sobol", 0),
        (83, CORNER, "grid", 25),
        (87, CORNER, "grid+sobol", 25),
        (10, CORNER, "sobol", 0),
    ],
)
def test_the_usual_values_take_one_of_stage_1s_runs(
    budget: int, usual: dict[str, float], method: str, points: int
) -> None:
    first, second, third = plan_sweep(change(budget=budget, baseline=usual)).stages
    assert (first.method, first.grid_points, first.defaults, second.defaults) == (method, points, usual, {})
    assert first.runs + second.runs + third.runs == budget


def test_the_usual_values_run_again_where_they_do_not_race() -> None:
    assert plan_sweep(change(baseline=USUAL)).stages[2].defaults == USUAL
    assert plan_sweep(change(baseline=USUAL, finalists=3)).stages[2].defaults == {}
    alone = plan_sweep(change(baseline=USUAL, budget=10, split=Split(shares=(49, 50, 1))))
    assert (alone.stages[2].runs, alone.stages[2].defaults) == (1, {}), "its one run is the search's"


@pytest.mark.parametrize("changes", [{"stage1": "grid"}, {"search": "wandb"}, {"search": "wandb", "stage1": "grid"}])
def test_the_guide_to_the_letter_trains_no_usual_values(changes: dict[str, object]) -> None:
    with_usual, without = plan_sweep(change(baseline=USUAL, **changes)), plan_sweep(change(**changes))
    assert with_usual.stages == without.stages


def test_a_grown_budget_keeps_what_the_stages_began_with() -> None:
    stages = plan_sweep(change(budget=40)).stages
    grown = grow_stages(stages, (), change(budget=50, baseline=USUAL))
    assert [stage.defaults for stage in grown] == [{}, {}, {}], "a sweep of an earlier release trains none"
    stages = plan_sweep(change(budget=40, baseline=USUAL)).stages
    grown = grow_stages(stages, (), change(budget=50, baseline=CORNER))
    assert [stage.defaults for stage in grown] == [USUAL, {}, USUAL]
    assert grow_stages(stages, (), change(budget=90, finalists=7))[2].defaults == {}, "they race"


def test_a_w_and_b_sweep_that_is_run_as_it_is_has_one_stage() -> None:
    (stage,) = plan_sweep(change(definition={"method": "bayes"})).stages
    assert (stage.stage, stage.runs, stage.method) == (1, 100, "bayes")


def test_a_grid_that_does_not_fit_is_refused_with_its_size() -> None:
    with pytest.raises(BudgetError, match="36 points does not fit the 30 runs") as caught:
        plan_sweep(change(stage1="grid", grid_resolution=6))
    assert "--grid-resolution" in caught.value.hint


def test_finalists_are_the_last_part_of_stage_3() -> None:
    assert [stage.finalists for stage in plan_sweep(change(finalists=7)).stages] == [0, 0, 7]


def test_a_plan_that_does_not_add_up_is_none() -> None:
    plan = plan_sweep(SETTINGS)
    with pytest.raises(ValidationError, match="do not add up"):
        SweepPlan(settings=change(budget=101), stages=plan.stages)


IDENTITY_CHANGES: list[dict[str, object]] = [
    {"config_id": "CartPole-v1:ppo"},
    {"space": SearchSpace(parameters=SPACE.parameters[:1])},
    {"space": SearchSpace(parameters=(CategoricalParameter(name="lr", choices=("a", "b")),))},
    {"metric": "loss"},
    {"metric_value": "best"},
    {"goal": "minimize"},
    {"program": "train.py"},
    {"command": ("python", "${program}")},
    {"fixed": {"epochs": 3}},
    {"entity": "someone"},
    {"project": "other"},
    {"split": Split(shares=(40, 40, 20))},
    {"stage1": "sobol"},
    {"grid_resolution": 4},
    {"seed": 1},
    {"seed_parameter": "seed"},
]


@pytest.mark.parametrize("changes", IDENTITY_CHANGES, ids=lambda changes: "-".join(changes))
def test_whatever_makes_the_sweep_changes_its_hash_and_is_named(changes: dict[str, object]) -> None:
    other = change(**changes)
    assert other.hash_identity() != SETTINGS.hash_identity()
    assert set(SETTINGS.compare_identity(other)) == set(changes)
    ((mine, theirs),) = SETTINGS.compare_identity(other).values()
    assert mine != theirs


def test_the_budget_and_the_trainers_defaults_are_no_part_of_the_identity() -> None:
    for other in (change(budget=200), change(baseline={"lr": 1e-3})):
        assert other.hash_identity() == SETTINGS.hash_identity()
        assert not SETTINGS.compare_identity(other)


def test_metric_and_goal_are_part_of_the_identity_once_a_run_has_counted() -> None:
    other = change(metric="another", goal="minimize")
    assert set(SETTINGS.compare_identity(other)) == {"metric", "goal"}
    assert not SETTINGS.compare_identity(other, has_counted=False)
    assert set(SETTINGS.compare_identity(change(metric="another", seed=9), has_counted=False)) == {"seed"}
    defined = change(definition={"method": "grid", "metric": {"name": "a"}})
    assert not defined.compare_identity(change(definition={"method": "grid", "metric": {"name": "b"}}), False)
    assert set(defined.compare_identity(change(definition={"method": "random"}), False)) == {"definition"}


def test_the_identity_is_the_same_after_a_trip_through_json() -> None:
    again = SweepSettings.model_validate_json(SETTINGS.model_dump_json())
    assert again.hash_identity() == SETTINGS.hash_identity()
    assert len(SETTINGS.hash_identity()) == 8


def test_a_setting_that_a_later_release_adds_leaves_the_hash_of_those_who_do_not_use_it() -> None:
    class Later(SweepSettings):
        depth: int = 3

    with patch.object(plan, "_IDENTITY", (*plan._IDENTITY, "depth")):
        assert Later(**dict(SETTINGS)).hash_identity() == SETTINGS.hash_identity()
        assert Later(**dict(SETTINGS), depth=4).hash_identity() != SETTINGS.hash_identity()


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(0, 10**5))
def test_a_slots_seed_is_the_same_wherever_it_is_asked_for(seed: int, stage: int, index: int) -> None:
    settings = SETTINGS.model_copy(update={"seed": seed})
    drawn = derive_seed(settings, stage, index)
    assert drawn == derive_seed(settings, stage, index)
    assert 0 <= drawn < 2**31


def test_slots_and_sweeps_have_seeds_of_their_own() -> None:
    drawn = {derive_seed(change(seed=seed), stage, index) for seed in (0, 1) for stage in (1, 2) for index in range(99)}
    assert len(drawn) == 2 * 2 * 99


@given(
    budget=st.integers(10, 2000),
    added=st.integers(0, 2000),
    completed=st.sets(st.sampled_from([1, 2, 3])),
)
def test_a_grown_budget_is_used_whole_and_completed_stages_stay(budget: int, added: int, completed: set[int]) -> None:
    stages = plan_sweep(change(budget=budget)).stages
    grown = grow_stages(stages, completed, change(budget=budget + added))
    assert sum(stage.runs for stage in grown) == budget + added
    for before, after in zip(stages, grown, strict=True):
        assert after.runs >= before.runs
        if before.stage in completed and completed != {1, 2, 3}:
            assert after.runs == before.runs
    if completed == {1, 2, 3}:
        assert grown[2].runs == stages[2].runs + added


def test_a_grown_budget_is_shared_by_the_split_of_what_is_not_complete() -> None:
    stages = plan_sweep(change(budget=100)).stages
    assert [stage.runs for stage in grow_stages(stages, {1}, change(budget=170))] == [30, 100, 40]


def test_w_and_b_s_engine_takes_the_grid_where_it_fits_and_else_draws_at_random() -> None:
    fits = plan_sweep(change(budget=100, search="wandb"))
    assert [(stage.method, stage.runs) for stage in fits.stages] == [("grid", 25), ("bayes", 55), ("bayes", 20)]
    large = plan_sweep(change(budget=50, search="wandb"))
    assert [(stage.method, stage.runs) for stage in large.stages] == [("random", 15), ("bayes", 25), ("bayes", 10)]


@pytest.mark.parametrize(
    ("search", "proposer", "method"),
    [
        ("gp", "ours", "gaussian process"),
        ("wandb", "server", "bayes"),
        ("optuna:tpe", "ours", "optuna:tpe"),
        ("mine", "ours", "mine"),
    ],
)
def test_who_proposes_is_apart_from_the_method(search: str, proposer: str, method: str) -> None:
    settings = change(search=search, finalists=0)
    assert settings.proposer == find_proposer(search) == proposer
    assert [stage.method for stage in plan_sweep(settings).stages[1:]] == [method, method]
    assert "proposer" not in settings.model_dump()
    assert (settings.hash_identity() == SETTINGS.hash_identity()) == (search == "gp")
    with pytest.raises(ValidationError):
        change(search="")


def test_the_identity_is_what_earlier_releases_took_for_it() -> None:
    # Finished steps are known by its hash.
    assert set(plan._IDENTITY) == {
        "config_id", "space", "metric", "metric_value", "goal", "program", "command", "fixed", "entity", "project",
        "tracker", "server", "search", "early_stop", "split", "stage1", "grid_resolution", "seed", "seed_parameter",
        "layout", "early_terminate", "definition", "prior",
    }  # fmt: skip
