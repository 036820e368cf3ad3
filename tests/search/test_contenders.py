"""What is believed before and after a race."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from multistage.domain.runs.results import Config, Evaluation, Goal
from multistage.domain.space.grammar import parse_params
from multistage.search.contenders import TRUST, Draws, Joint, gather
from multistage.search.ensemble import MEMBERS, Belief, Ensemble, group, measure_distances
from multistage.search.gaussian_process import GaussianProcessSearch
from multistage.search.noise_shape import draw_shapes
from multistage.search.sobol import sample_sobol
from multistage.search.surrogate import Priors
from multistage.search.targets import Targets
from tests.search.searches import recommend

SPACE = parse_params("policy_lr,clip_range,n_steps")


def draw(joint: Joint, values: list[list[float]], seed: int = 0) -> Draws:
    return joint.draw(gather([np.array(group) for group in values]), np.random.default_rng(seed))


def hold_belief(mean: float, variance: float, noise: float) -> Joint:
    return Joint([Belief(np.array([mean]), np.array([[variance]]), np.array([noise]))])


@settings(max_examples=40, deadline=None)
@given(st.floats(-2, 2), st.floats(0.05, 2), st.floats(0.05, 2), st.lists(st.floats(-3, 3), min_size=1, max_size=8))
def test_one_contender_is_believed_by_students_distribution(
    mean: float, variance: float, noise: float, values: list[float]
) -> None:
    count, average = len(values), float(np.mean(values))
    precision = 1 / variance + count / noise
    centre = (mean / variance + average * count / noise) / precision
    missed = (average - mean) ** 2 / (variance + noise / count) + np.var(values) * count / noise
    scale = math.sqrt((TRUST + missed) / (TRUST + count) / precision)
    drawn = draw(hold_belief(mean, variance, noise), [values]).means[:, 0]
    assert np.median(drawn) == pytest.approx(centre, abs=0.25 * scale)
    wide = float(t.ppf(0.9, TRUST + count)) * scale
    assert np.quantile(drawn, 0.9) - np.quantile(drawn, 0.1) == pytest.approx(2 * wide, rel=0.25)


def test_a_contender_that_did_not_run_again_is_believed_less_surely_than_the_process_does() -> None:
    drawn = draw(hold_belief(1.0, 0.25, 1.0), [[]]).means[:, 0]
    assert drawn.mean() == pytest.approx(1.0, abs=0.1)
    assert np.quantile(drawn, 0.975) - np.quantile(drawn, 0.025) > 2 * 1.96 * 0.5 * 1.1


def test_runs_of_one_contender_tell_of_its_neighbour() -> None:
    covariance = np.array([[1.0, 0.9], [0.9, 1.0]])
    joint = Joint([Belief(np.zeros(2), covariance, np.full(2, 0.01))])
    drawn = draw(joint, [[2.0, 2.0], []]).means
    assert drawn[:, 1].mean() == pytest.approx(1.8, abs=0.15)


def test_the_member_that_foresaw_the_race_counts_more() -> None:
    beliefs = [Belief(np.array([place]), np.array([[0.01]]), np.array([0.01])) for place in (0.0, 3.0)]
    drawn = draw(Joint(beliefs), [[3.0, 3.1, 2.9]]).means[:, 0]
    assert np.mean(drawn > 2) > 0.95


def test_the_winner_of_a_race_is_believed_as_it_is() -> None:
    """Ten contenders, two runs each, noise that differs tenfold: the best believed one is chosen for no luck."""
    random = np.random.default_rng(0)
    joint = Joint([Belief(np.zeros(10), np.eye(10), np.ones(10))])
    hits, errors = 0, []
    for number in range(400):
        true = random.normal(size=10)
        deviations = np.sqrt(0.5 * TRUST / random.gamma(0.5 * TRUST, size=10))
        values = true[:, None] * np.sqrt(deviations[:, None]) + deviations[:, None] * random.normal(size=(10, 2))
        true = true * np.sqrt(deviations)
        means = draw(joint, values.tolist(), number).means
        best = int(np.argmax(means.mean(axis=0)))
        low, high = np.quantile(means[:, best], (0.025, 0.975))
        hits += bool(low <= true[best] <= high)
        errors.append(means[:, best].mean() - true[best])
    assert 0.92 <= hits / 400 <= 0.99
    assert abs(np.mean(errors)) < 0.15


def sweep(seed: int, count: int, deviation: float = 1.0) -> list[Evaluation]:
    random = np.random.default_rng(seed)
    configs = sample_sobol(SPACE, count, seed)
    return [
        Evaluation(stage=1, index=index, config=config, outcome="finished", value=float(deviation * random.normal()))
        for index, config in enumerate(configs)
    ]


def test_the_best_of_nothing_but_luck_is_not_believed() -> None:
    found = [recommend(SPACE, sweep(seed, 30), None, "maximize") for seed in range(8)]
    held = [one is not None and one.interval[0] <= 0 <= one.interval[1] for one in found]
    assert sum(held) >= 7


@pytest.mark.parametrize(("goal", "sign"), [("maximize", 1), ("minimize", -1)])
def test_of_configs_that_nobody_can_tell_apart_the_best_seen_is_recommended(goal: Goal, sign: int) -> None:
    space = parse_params("lr:log:1e-4-1e-2,dropout:0-0.5")
    places = [(lr, dropout) for lr in (1e-4, 4e-4, 1e-3, 2e-3) for dropout in (0.0, 0.25, 0.5)]
    places += [(3.3036e-3, 0.20263), (3.3036e-3, 0.20265), (3.3037e-3, 0.2027)]
    runs = [
        Evaluation(
            stage=1,
            index=index,
            config={"lr": lr, "dropout": dropout},
            outcome="finished",
            value=sign * (-abs(math.log10(lr / 3.3e-3)) - abs(dropout - 0.2) + (0.02 if index == 13 else 0.0)),
        )
        for index, (lr, dropout) in enumerate(places)
    ]
    found = recommend(space, runs, None, goal)
    assert found is not None
    assert found.config == runs[13].config


def test_a_config_with_one_run_is_believed_less_surely_than_one_that_raced() -> None:
    runs = sweep(3, 30)
    before = recommend(SPACE, runs, None, "maximize")
    assert before is not None
    again = [
        runs[0].model_copy(
            update={"stage": 3, "index": index, "config": before.config, "finalist": True, "value": 0.3 * index}
        )
        for index in range(-3, 4)
    ]
    after = recommend(SPACE, [*runs, *again], None, "maximize")
    assert after is not None
    assert (before.seeds, after.seeds) == (1, 8)
    assert after.interval[1] - after.interval[0] < before.interval[1] - before.interval[0]


def test_either_goal_is_believed_alike() -> None:
    runs = sweep(5, 20)
    turned = [run.model_copy(update={"value": -(run.value or 0.0)}) for run in runs]
    defaults: Config = runs[7].config
    up, down = recommend(SPACE, runs, defaults, "maximize"), recommend(SPACE, turned, defaults, "minimize")
    assert up is not None
    assert down is not None
    assert (up.config, up.mean, up.interval) == (down.config, -down.mean, (-down.interval[1], -down.interval[0]))
    assert up.probability_better_than_defaults == down.probability_better_than_defaults


def make_line(noise: float, rising: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    rows = np.sort(random.random(80))[:, None]
    return rows, 2 * rows[:, 0] - 1 + noise * np.exp(rising * (rows[:, 0] - 0.5)) * random.normal(size=80)


@pytest.mark.parametrize("rising", [-4.0, 4.0])
def test_the_noise_follows_the_value(rising: float) -> None:
    rows, values = make_line(0.3, rising)
    ensemble = Ensemble(1, Priors(1).modes)
    runs = group(rows, values)
    members = ensemble.draw(runs, np.random.default_rng(0))
    poor, good = np.mean([one.noise for one in ensemble.believe(members, runs, np.array([[0.05], [0.95]]))], axis=0)
    assert len(members) == MEMBERS
    assert (good > 3 * poor) if rising > 0 else (poor > 3 * good)


def test_exact_values_are_believed_exactly() -> None:
    rows, values = make_line(0.0, 0.0)
    ensemble = Ensemble(1, Priors(1).modes)
    runs = group(rows, values)
    beliefs = ensemble.believe(ensemble.draw(runs, np.random.default_rng(0)), runs, np.array([[0.5]]))
    assert all(abs(one.mean[0]) < 0.05 for one in beliefs)
    assert all(one.noise[0] < 0.01 for one in beliefs)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-5, 5)), min_size=1, max_size=20))
def test_runs_of_a_config_are_put_together(pairs: list[tuple[int, float]]) -> None:
    rows, values = np.array([[float(place)] for place, _ in pairs]), np.array([value for _, value in pairs])
    runs = group(rows, values)
    assert runs.counts.sum() == len(pairs)
    for row, mean, squares in zip(runs.rows[:, 0], runs.means, runs.squares, strict=True):
        own = values[rows[:, 0] == row]
        assert mean == pytest.approx(own.mean(), abs=1e-9)
        assert squares == pytest.approx(own.var() * len(own), abs=1e-9)
    assert np.allclose(np.diag(measure_distances(runs.rows, runs.rows)[0]), 0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30, unique=True), st.booleans())
def test_values_are_placed_where_they_were(values: list[float], up: bool) -> None:
    runs = [run.model_copy(update={"value": value}) for run, value in zip(sweep(0, len(values)), values, strict=True)]
    targets = Targets(runs, "maximize" if up else "minimize")
    spread = max(values) - min(values)
    assert np.allclose(targets.restore(targets.place(np.array(values))), values, atol=1e-6 * max(1.0, spread))


def test_a_run_that_diverged_does_not_make_its_neighbours_worthless() -> None:
    values = [*np.linspace(0, 10, 39).tolist(), -1e9]
    targets = Targets(
        [run.model_copy(update={"value": v}) for run, v in zip(sweep(0, 40), values, strict=True)], "maximize"
    )
    shape = draw_shapes(np.zeros(0), 1, np.random.default_rng(0))
    steady, _ = targets.expect(np.array([[1.0]]), np.array([[0.0]]), shape)
    shaky, variance = targets.expect(np.array([[1.0]]), np.array([[1.0]]), shape)
    steady, shaky, variance = steady[0], shaky[0], variance[0]
    assert steady[0] == pytest.approx(targets.restore(np.array([1.0]))[0])
    assert -10 < shaky[0] < steady[0] + 1
    assert 0 < variance[0] < 400


def test_failures_of_a_metric_that_has_a_ceiling_are_not_overlooked() -> None:
    """Most runs reach the most that there is, some configs never, and one run in five of the good ones fails."""
    random = np.random.default_rng(3)
    space = parse_params("x:0-1,y:0-1")
    runs = []
    for index in range(100):
        config = {"x": float(random.random()), "y": float(random.random())}
        good = config["x"] > 0.4
        value = (500.0 if random.random() < 0.8 else 350.0) if good else 450.0 * config["x"] / 0.4
        runs.append(Evaluation(stage=1, index=index, config=config, outcome="finished", value=value))
    prediction = GaussianProcessSearch(space, "maximize", 1).predict(runs, [{"x": 0.8, "y": 0.5}, {"x": 0.7, "y": 0.4}])
    races: list[list[list[float]]] = [[[], []], [[500.0, 500.0, 350.0, 500.0], [500.0]]]
    for race in races:
        draws, variances = prediction.race(race)
        low, high = np.quantile(draws[:, 0], (0.025, 0.975))
        assert low < 470 < high
        assert draws[:, 0].mean() == pytest.approx(470, abs=18)
        assert 20 < np.sqrt(variances[0]) < 110
