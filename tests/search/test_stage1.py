from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multistage.domain.runs.results import Config
from multistage.domain.space.grammar import parse_params
from multistage.errors import BudgetError
from multistage.search.sobol import key_of, sample_sobol
from multistage.search.stage1 import plan_stage1

TWO = parse_params("policy_lr,clip_range")
FINITE = parse_params("n_steps,act:[a|b|c]")


def count_twins(configs: list[dict[str, bool | int | float | str]]) -> int:
    return max(Counter(map(key_of, configs)).values())


def test_auto_is_the_grid_filled_up_to_exactly_the_budget() -> None:
    configs = plan_stage1(TWO, "auto", 5, 40, seed=3)
    grid = [key_of(config) for config in TWO.grid(5)]
    assert len(configs) == 40
    assert sorted(map(key_of, configs[:25])) == sorted(grid)
    assert not {key_of(config) for config in configs[25:]} & set(grid)
    assert count_twins(configs) == 1


def test_auto_is_sobol_alone_where_the_grid_does_not_fit() -> None:
    configs = plan_stage1(TWO, "auto", 5, 24, seed=3)
    assert configs == plan_stage1(TWO, "sobol", 5, 24, seed=3)
    assert len(configs) == 24


USUAL: Config = {"policy_lr": 0.2, "clip_range": 0.15}
"""Outside the first range."""


@pytest.mark.parametrize(("budget", "points"), [(40, 25), (26, 25), (25, 0), (1, 0)])
def test_the_usual_values_come_first_and_the_grid_where_it_fits_in_the_rest(budget: int, points: int) -> None:
    first, *rest = plan_stage1(TWO, "auto", 5, budget, seed=3, defaults=USUAL)
    assert first == USUAL
    assert len(rest) == budget - 1
    assert sum(config in TWO.grid(5) for config in rest[:25]) == points
    assert all(map(TWO.contains, rest))


@pytest.mark.parametrize("budget", [25, 30])
def test_usual_values_on_the_grid_are_not_planned_twice(budget: int) -> None:
    usual = TWO.grid(5)[7]
    configs = plan_stage1(TWO, "auto", 5, budget, seed=3, defaults=usual)
    assert configs[0] == usual
    assert (len(configs), count_twins(configs)) == (budget, 1)
    assert sorted(map(key_of, configs[:25])) == sorted(map(key_of, TWO.grid(5)))


KNOWN = sample_sobol(TWO, 20, seed=9)
"""Configs that other trainings speak for."""


@pytest.mark.parametrize(
    ("budget", "known", "points"), [(50, 20, 25), (46, 20, 25), (45, 20, 0), (30, 15, 0), (1, 0, 0)]
)
def test_the_prior_takes_up_to_half_after_the_usual_values_and_the_grid_what_fits_in_the_rest(
    budget: int, known: int, points: int
) -> None:
    configs = plan_stage1(TWO, "auto", 5, budget, seed=3, defaults=USUAL, prior=KNOWN)
    assert configs[: known + 1] == [USUAL, *KNOWN[:known]]
    assert sum(config in TWO.grid(5) for config in configs) == points
    assert (len(configs), count_twins(configs)) == (budget, 1)


def test_usual_values_are_not_trained_again_for_the_priors_sake() -> None:
    configs = plan_stage1(TWO, "sobol", 5, 30, seed=3, defaults=KNOWN[0], prior=KNOWN)
    assert configs[:16] == KNOWN[:16]
    assert count_twins(configs) == 1


def test_a_grid_that_is_asked_for_takes_no_prior() -> None:
    assert plan_stage1(TWO, "grid", 5, 150, seed=0, prior=KNOWN) == plan_stage1(TWO, "grid", 5, 150, seed=0)


def test_the_grid_alone_leaves_the_rest_of_the_budget() -> None:
    assert len(plan_stage1(TWO, "grid", 5, 150, seed=0)) == 25
    assert len(plan_stage1(TWO, "grid", 5, 25, seed=0)) == 25


def test_a_grid_that_does_not_fit_names_its_size_and_the_ways_out() -> None:
    eight = parse_params("gae_lambda,vf_coef,ent_coef,policy_lr,clip_range,n_steps,batch_size,gamma")
    with pytest.raises(BudgetError, match="390625 configs, and stage 1 has 150 runs") as caught:
        plan_stage1(eight, "grid", 5, 150, seed=0)
    assert "--stage1 auto" in caught.value.hint
    assert "--grid-resolution" in caught.value.hint
    assert "--budget" in caught.value.hint


def test_half_a_grid_has_moved_every_parameter() -> None:
    space = parse_params("gae_lambda,vf_coef,ent_coef")
    half = plan_stage1(space, "grid", 5, 125, seed=1)[:62]
    for name in space.names:
        assert min(Counter(config[name] for config in half).values()) >= 5
    assert plan_stage1(space, "grid", 5, 125, seed=1)[:62] == half
    assert plan_stage1(space, "grid", 5, 125, seed=2)[:62] != half


def test_a_small_space_is_repeated_evenly() -> None:
    size = FINITE.size
    assert size == 15
    for method in ("auto", "sobol"):
        configs = plan_stage1(FINITE, method, 5, 40, seed=0)
        counts = Counter(map(key_of, configs))
        assert len(configs) == 40
        assert len(counts) == 15
        assert set(counts.values()) == {2, 3}


def test_a_space_of_one_config_is_a_space() -> None:
    assert sample_sobol(parse_params("act:[a]"), 3, 0) == [{"act": "a"}] * 3


def test_points_that_rounding_makes_twins_still_come_in_the_number_asked_for() -> None:
    huge = parse_params("x:int:1-1000000,y:[a]")
    taken = sample_sobol(huge, 12, 0)
    assert len(sample_sobol(huge, 3, 0, taken=taken)) == 3


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 70), st.integers(0, 2**32))
def test_sobol_configs_are_possible_distinct_and_reproducible(count: int, seed: int) -> None:
    space = parse_params("policy_lr,n_steps,act:[a|b],k:int:1-9")
    configs = sample_sobol(space, count, seed)
    assert len(configs) == count
    assert all(space.contains(config) for config in configs)
    assert count == 0 or count_twins(configs) == 1
    assert configs == sample_sobol(space, count, seed)


def test_sobol_covers_evenly() -> None:
    values = [config["clip_range"] for config in sample_sobol(TWO, 64, 1)]
    cells = Counter(int((float(value) - 0.1) / 0.2 * 8 - 1e-9) for value in values)
    assert set(cells.values()) == {8}
