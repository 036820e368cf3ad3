import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multistage.domain.runs.results import Config, Evaluation, Goal, Outcome
from multistage.domain.runs.selection import select_top
from multistage.domain.space.grammar import parse_params
from multistage.domain.space.narrowing import narrow
from multistage.domain.space.parameters import CategoricalParameter, FloatParameter
from multistage.domain.space.search_space import SearchSpace
from multistage.search.encoding import Encoder
from multistage.search.gaussian_process import MOST_ROWS, GaussianProcessSearch, choose_rows, estimate, propose
from multistage.search.sobol import key_of, sample_sobol

MIXED = parse_params("policy_lr,n_steps,act:[a|b|c],k:int:1-50,x:0-1")


def evaluate(config: Config, value: float | None, index: int = 0, outcome: Outcome = "finished") -> Evaluation:
    return Evaluation(stage=1, index=index, config=config, outcome=outcome, value=value)


def measure(config: Config) -> float:
    unit = MIXED.to_unit(config)
    return float(-np.sum((unit[[0, 1, 3, 4]] - 0.3) ** 2)) + (0.2 if config["act"] == "b" else 0.0)


def explore(count: int, seed: int = 0, noise: float = 0.0, sign: float = 1.0) -> list[Evaluation]:
    random = np.random.default_rng(seed)
    return [
        evaluate(config, sign * measure(config) + noise * random.normal(), index)
        for index, config in enumerate(sample_sobol(MIXED, count, seed))
    ]


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_it_finds_what_chance_does_not(goal: Goal) -> None:
    sign = 1.0 if goal == "maximize" else -1.0
    runs = explore(20, noise=0.02, sign=sign)
    search = GaussianProcessSearch(MIXED, goal, 1)
    random = np.random.default_rng(5)
    for index in range(20, 60):
        [config] = search.propose(MIXED, runs, [], 1)
        runs.append(evaluate(config, sign * measure(config) + 0.02 * random.normal(), index))
    found = max(measure(run.config) for run in runs[20:])
    chance = max(measure(config) for config in sample_sobol(MIXED, 1000, 3))
    assert found > chance


def test_suggestions_are_reproducible_for_a_seed() -> None:
    runs = explore(30)
    pending = sample_sobol(MIXED, 3, 9)
    first = propose(MIXED, MIXED, runs, pending, 3, "maximize", 7)
    assert first == propose(MIXED, MIXED, runs, pending, 3, "maximize", 7)
    assert first != propose(MIXED, MIXED, runs, pending, 3, "maximize", 8)


def test_a_search_that_was_asked_before_answers_like_a_new_one() -> None:
    runs = explore(40)
    search = GaussianProcessSearch(MIXED, "maximize", 0)
    for count in (10, 25, 33):
        search.propose(MIXED, runs[:count], [], 1)
    assert search.propose(MIXED, runs, [], 2) == propose(MIXED, MIXED, runs, [], 2, "maximize", 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(0, 6), st.integers(1, 4), st.integers(0, 1000), st.floats(0.2, 2))
def test_suggestions_lie_in_the_box_and_are_never_twins(
    count: int, open_runs: int, wanted: int, seed: int, width: float
) -> None:
    runs = explore(count, seed)
    box = narrow(MIXED, MIXED, select_top(runs, "maximize"), width).space
    pending = sample_sobol(box, open_runs, seed + 1)
    configs = propose(box, MIXED, runs, pending, wanted, "maximize", seed)
    assert len(configs) == wanted
    assert all(box.contains(config) and MIXED.contains(config) for config in configs)
    assert len({key_of(config) for config in (*configs, *pending)}) == wanted + open_runs
    assert not {key_of(config) for config in configs} & {key_of(run.config) for run in runs}


def test_a_finite_box_gives_all_it_has_before_it_repeats() -> None:
    space = parse_params("n_steps,act:[a|b]")
    runs = [evaluate({"n_steps": 64, "act": "a"}, 1.0)]
    configs = propose(space, space, runs, [], 10, "maximize", 0)
    assert len({key_of(config) for config in configs}) == 10
    assert configs[-1] == runs[0].config
    assert len(propose(space, space, runs, configs, 2, "maximize", 0)) == 2


def test_pending_runs_keep_others_away() -> None:
    space = parse_params("x:0-1")
    runs = [evaluate({"x": x}, -((x - 0.5) ** 2)) for x in (0.0, 0.25, 0.75, 1.0)]
    [alone] = propose(space, space, runs, [], 1, "maximize", 0)
    [second] = propose(space, space, runs, [alone], 1, "maximize", 0)
    assert abs(float(alone["x"]) - 0.5) < 0.15
    assert abs(float(alone["x"]) - float(second["x"])) > 0.01


def test_failed_runs_are_avoided() -> None:
    space = parse_params("x:0-1")
    runs = [evaluate({"x": x}, x, index) for index, x in enumerate(np.linspace(0, 0.6, 13).tolist())]
    runs += [evaluate({"x": x}, None, outcome="failed") for x in np.linspace(0.7, 1, 10).tolist()]
    configs = propose(space, space, runs, [], 3, "maximize", 0)
    assert all(float(config["x"]) < 0.75 for config in configs)


def hard_cases() -> dict[str, list[Evaluation]]:
    configs = sample_sobol(MIXED, 12, 0)
    return {
        "nothing": [],
        "one run": [evaluate(configs[0], 1.0)],
        "one failed run": [evaluate(configs[0], None, outcome="failed")],
        "all failed": [evaluate(config, None, outcome="failed") for config in configs],
        "all equal": [evaluate(config, 3.0) for config in configs],
        "all but one equal": [evaluate(c, 3.0 + (i == 4)) for i, c in enumerate(configs)],
        "all but one equal, worse": [evaluate(c, 3.0 - (i == 4)) for i, c in enumerate(configs)],
        "one NaN": [evaluate(c, math.nan if i == 4 else float(i)) for i, c in enumerate(configs)],
        "all NaN": [evaluate(config, math.nan) for config in configs],
        "infinities": [evaluate(c, (math.inf, -math.inf, 1.0)[i % 3]) for i, c in enumerate(configs)],
        "missing": [evaluate(c, None if i % 2 else 1.0 * i) for i, c in enumerate(configs)],
        "stopped": [evaluate(c, 1.0 * i, outcome="stopped") for i, c in enumerate(configs)],
        "one config again and again": [evaluate(configs[0], 1.0 * i) for i in range(12)],
        "huge": [evaluate(c, (-1) ** i * 1e300 * i) for i, c in enumerate(configs)],
        "tiny": [evaluate(c, 1e-300 * i) for i, c in enumerate(configs)],
        "diverged": [evaluate(c, -1e12 if i == 3 else 1.0 * i) for i, c in enumerate(configs)],
        "near a large number": [evaluate(c, 1e15 + i) for i, c in enumerate(configs)],
    }


@pytest.mark.parametrize("case", hard_cases())
@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_hard_evidence_gives_suggestions_and_no_warning(case: str, goal: Goal) -> None:
    runs = hard_cases()[case]
    search = GaussianProcessSearch(MIXED, goal, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        configs = search.propose(MIXED, runs, sample_sobol(MIXED, 2, 77), 3)
        beliefs = search.estimate(runs, configs)
    assert len({key_of(config) for config in configs}) == 3
    assert all(MIXED.contains(config) for config in configs)
    known = any(run.outcome != "failed" and run.value is not None and math.isfinite(run.value) for run in runs)
    assert all(math.isfinite(belief.mean) == known for belief in beliefs)


def test_hard_spaces_give_suggestions() -> None:
    wide = SearchSpace(parameters=tuple(FloatParameter(name=f"p{i}", low=0, high=1) for i in range(100)))
    still = SearchSpace(
        parameters=(
            FloatParameter(name="x", low=0.5, high=0.5),
            CategoricalParameter(name="a", choices=("only",)),
        )
    )
    partly = SearchSpace(parameters=(*still.parameters, FloatParameter(name="y", low=0, high=1, scale="linear")))
    for space in (wide, still, partly):
        runs = [evaluate(c, float(i % 7), i) for i, c in enumerate(sample_sobol(space, 30, 0))]
        configs = propose(space, space, runs, [], 2, "maximize", 0)
        assert all(space.contains(config) for config in configs)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(0, 1000), st.floats(0.2, 2))
def test_points_of_a_box_are_placed_where_their_configs_are_encoded(count: int, seed: int, width: float) -> None:
    runs = explore(12, seed)
    box = narrow(MIXED, MIXED, select_top(runs, "maximize"), width).space
    encoder = Encoder(MIXED)
    points = np.random.default_rng(seed).random((count, len(box)))
    direct = encoder.encode([box.from_unit(point) for point in points])
    assert np.allclose(encoder.place(box, points), direct, atol=2e-5)
    assert direct.shape == (count, encoder.width)


def test_beliefs_are_in_the_metrics_units_and_shrunken() -> None:
    runs = explore(60, noise=0.1)
    lucky = max(runs, key=lambda run: run.value or 0.0)
    [belief] = estimate(MIXED, runs, "maximize", [lucky.config])
    assert lucky.value is not None
    assert abs(belief.mean - measure(lucky.config)) < abs(lucky.value - measure(lucky.config)) + 0.05
    assert belief.mean < lucky.value
    assert 0 < belief.std < 0.5


def test_of_nothing_nothing_is_known() -> None:
    search = GaussianProcessSearch(MIXED, "maximize", 0)
    assert math.isnan(search.estimate([], sample_sobol(MIXED, 1, 0))[0].mean)


def test_thousands_of_runs_are_thinned_to_the_best_and_the_latest() -> None:
    runs = explore(1300, noise=0.1)
    search = GaussianProcessSearch(MIXED, "maximize", 0)
    [config] = search.propose(MIXED, runs, [], 1)
    assert MIXED.contains(config)
    values = np.random.default_rng(0).random(5000)
    kept = choose_rows(values)
    assert len(set(kept.tolist())) == len(kept) == MOST_ROWS
    assert {int(values.argmax()), 4999, 4750} <= set(kept.tolist())
    assert choose_rows(values[:MOST_ROWS]).tolist() == list(range(MOST_ROWS))
