"""Configs that other trainings speak for: where they did well, on whatever scale and in whatever range."""

from typing import Any

import numpy as np
import pytest

from multistage.domain.runs.results import Config
from multistage.domain.space.grammar import parse_params
from multistage.domain.space.search_space import SearchSpace
from multistage.search.lessons import PriorSource, make_source
from multistage.search.prior import choose_prior_configs
from multistage.search.sobol import key_of, sample_sobol

WIDE = parse_params("lr:log:1e-6-1e-1,clip:0-0.5,act:[relu|tanh]")
"""What the other trainings searched; lr near 1e-3 and tanh were good there."""


def rate(config: Config) -> float:
    return -abs(float(np.log10(float(config["lr"]))) + 3) - (config["act"] != "tanh")


def teach(*names: str, sign: float = 1.0) -> PriorSource:
    configs = sample_sobol(WIDE, 128, 3)
    return make_source("other", names or WIDE.names, configs, [sign * rate(config) for config in configs])


def choose(params: str, source: PriorSource, count: int = 10, **more: Any) -> list[Config]:
    return choose_prior_configs(parse_params(params), [source], count, 1, **more)


def test_the_configs_lie_where_others_did_well_and_apart() -> None:
    configs = choose("lr:log:1e-6-1e-1,clip:0-0.5,act:[relu|tanh]", teach())
    assert len({key_of(config) for config in configs}) == 10
    assert {config["act"] for config in configs} == {"tanh"}
    assert all(10**-4.2 < float(config["lr"]) < 10**-1.8 for config in configs)
    assert np.std([float(config["clip"]) for config in configs]) > 0.05
    turned = choose("lr:log:1e-6-1e-1,clip:0-0.5,act:[relu|tanh]", teach(sign=-1))
    assert all(rate(config) < -2 for config in turned)


def test_only_what_both_have_counts_and_the_rest_is_spread() -> None:
    space = parse_params("layers:int:1-64,lr:log:1e-6-1e-1")
    configs = choose_prior_configs(space, [teach("lr")], 10, 1)
    assert all(space.contains(config) for config in configs)
    assert all(10**-4 < float(config["lr"]) < 1e-2 for config in configs)
    assert len({config["layers"] for config in configs}) > 5


def test_ranges_may_be_narrower_wider_or_elsewhere() -> None:
    assert min(float(config["lr"]) for config in choose("lr:log:1e-6-1e-4,clip:0-0.5", teach("lr"))) > 1e-5
    assert max(float(config["lr"]) for config in choose("lr:log:1e-2-10,clip:0-0.5", teach("lr"))) < 0.5
    chosen = choose("lr:[1e-5|1.1e-3|3e-2],clip:0-0.5", teach("lr"))
    assert {config["lr"] for config in chosen} == {1.1e-3}


@pytest.mark.parametrize("params", ["layers:int:1-4", "act:int:1-9", "act:[gelu|silu]", "lr:[0.5]"])
def test_what_shares_nothing_teaches_nothing(params: str) -> None:
    assert choose(params, teach()) == []


def test_a_small_space_has_no_more_configs_and_none_that_is_taken() -> None:
    space = SearchSpace(parameters=(WIDE["act"],))
    assert choose_prior_configs(space, [teach()], 5, 1) == [{"act": "tanh"}, {"act": "relu"}]
    assert choose_prior_configs(space, [teach()], 5, 1, taken=[{"act": "tanh"}]) == [{"act": "relu"}]
    assert choose_prior_configs(space, [teach()], 5, 1, taken=[{"act": "tanh"}, {"act": "relu"}]) == []
    assert choose_prior_configs(space, [teach()], 0, 1) == []


def test_a_source_in_which_all_did_alike_teaches_nothing() -> None:
    configs = sample_sobol(WIDE, 32, 3)
    assert choose_prior_configs(WIDE, [make_source("flat", WIDE.names, configs, [1.0] * 32)], 5, 1) == []


def test_failed_runs_rank_last_and_equal_ones_alike() -> None:
    lessons = make_source("o", ["x"], [{"x": n} for n in range(5)], [1.0, float("nan"), 3.0, 1.0, float("inf")]).lessons
    standings = [lesson.standing for lesson in lessons]
    assert standings[1] == standings[4] < standings[0] == standings[3] < standings[2]
    assert standings[0] == pytest.approx(0.0, abs=0.3)


def test_sources_that_disagree_are_weighed_by_what_they_share() -> None:
    space = parse_params("lr:log:1e-6-1e-1,clip:0-0.5,act:[relu|tanh]")
    both = choose_prior_configs(space, [teach("lr", sign=-1), teach()], 10, 1)
    assert {config["act"] for config in both} == {"tanh"}
    assert np.median([abs(np.log10(float(config["lr"])) + 3) for config in both]) < 2
