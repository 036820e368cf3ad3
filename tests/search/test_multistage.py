import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multistage.domain.runs.results import Config, Evaluation, Goal
from multistage.domain.space.grammar import parse_params
from multistage.domain.sweep.budget import Split, split_budget
from multistage.search.base import Proposal
from multistage.search.finalists import DEFAULTS_RUNS, Recommendation
from multistage.search.sobol import key_of
from tests.search.searches import make_race, make_search, recommend

SPACE = parse_params("policy_lr,n_steps,act:[a|b]")


def measure(config: Config) -> float:
    if config["act"] not in ("a", "b"):
        return -1.0
    unit = SPACE.to_unit(config)
    return float(-np.sum((unit[:2] - 0.4) ** 2)) + (0.1 if config["act"] == "b" else 0.0)


def run_sweep(
    budgets: tuple[int, int, int],
    finalists: int,
    *,
    defaults: Config | None = None,
    workers: int = 4,
    noise: float = 0.05,
    seed: int = 0,
    goal: Goal = "maximize",
    compared: bool = False,
) -> tuple[list[Evaluation], Recommendation | None]:
    """A whole sweep with simulated workers that end in a random order; ``compared`` trains the defaults first."""
    random = np.random.default_rng(seed)
    sign = 1.0 if goal == "maximize" else -1.0
    first = defaults if compared else None
    search = make_search(SPACE, goal, budgets, finalists, defaults=defaults, seed=seed, first=first, again=first)
    done: list[Evaluation] = []

    def train(stage: int, index: int, proposal: Proposal) -> None:
        value = sign * measure(proposal.config) + noise * random.normal()
        done.append(
            Evaluation(
                stage=stage,
                index=index,
                config=proposal.config,
                outcome="finished",
                value=value,
                finalist=proposal.finalist,
            )
        )

    for index, config in enumerate(search.plan()):
        train(1, index, Proposal(config=config))
    box = SPACE
    for stage in (2, 3):
        box = search.narrow(stage, done, box).space
        used, pending = 0, dict[int, Proposal]()
        while used < budgets[stage - 1] or pending:
            for proposal in search.propose(stage, box, done, list(pending.values()), used, workers - len(pending)):
                pending[used] = proposal
                used += 1
            index = int(random.choice(list(pending)))
            train(stage, index, pending.pop(index))
    return done, search.recommend(done)


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_a_sweep_uses_exactly_its_budget_and_ends_with_the_race(goal: Goal) -> None:
    done, best = run_sweep((18, 30, 12), 7, goal=goal)
    assert Counter(run.stage for run in done) == {1: 18, 2: 30, 3: 12}
    assert [run.index for run in sorted(done, key=lambda r: (r.stage, r.index)) if run.finalist] == list(range(5, 12))
    searched = [run for run in done if not run.finalist]
    assert len({key_of(run.config) for run in searched}) == len(searched)
    assert {key_of(run.config) for run in done if run.finalist} <= {key_of(run.config) for run in searched}
    assert best is not None
    assert best.config in [run.config for run in done]
    assert best.seeds >= 2
    assert measure(best.config) > 0.05
    assert best.interval[0] < best.mean < best.interval[1]
    assert (best.probability_better_than_defaults, best.verdict) == (None, "not compared")


@pytest.mark.slow
def test_a_recommendation_holds_what_it_promises() -> None:
    inside, luck = 0, []
    for seed in range(12):
        done, best = run_sweep((15, 25, 15), 10, noise=0.2, seed=seed)
        assert best is not None
        true = measure(best.config)
        inside += best.interval[0] <= true <= best.interval[1]
        luck.append((best.mean - true, max(run.value or -math.inf for run in done) - true))
    assert inside >= 8
    assert abs(np.mean([shrunken for shrunken, _ in luck])) < 0.5 * np.mean([seen for _, seen in luck])


def test_the_defaults_race_too_and_are_beaten_or_not() -> None:
    poor: Config = {"policy_lr": 1e-2, "n_steps": 1024, "act": "a"}
    done, best = run_sweep((18, 30, 18), 12, defaults=poor)
    assert sum(run.config == poor for run in done if run.finalist) >= DEFAULTS_RUNS
    assert best is not None
    assert best.probability_better_than_defaults is not None
    assert best.probability_better_than_defaults > 0.95
    assert best.verdict == "improvement"
    good: Config = {"policy_lr": 1e-4 * 100**0.4, "n_steps": 128, "act": "b"}
    _, best = run_sweep((5, 3, 12), 12, defaults=good, noise=0.01)
    assert best is not None
    assert best.config == good
    assert (best.probability_better_than_defaults, best.verdict) == (0.0, "no improvement")


@pytest.mark.parametrize(("race", "least"), [(2, 1), (3, 1), (5, 2), (8, 3)])
def test_a_short_race_has_room_for_the_defaults_too(race: int, least: int) -> None:
    poor: Config = {"policy_lr": 1e-2, "n_steps": 1024, "act": "a"}
    done, best = run_sweep((18, 30, 12), race, defaults=poor, workers=2)
    assert sum(run.config == poor for run in done if run.finalist) >= least
    assert best is not None
    assert best.config != poor
    assert best.probability_better_than_defaults is not None


POOR: Config = {"policy_lr": 1e-2, "n_steps": 1024, "act": "a"}
GOOD: Config = {"policy_lr": 1e-4 * 100**0.4, "n_steps": 128, "act": "b"}
OUTSIDE: Config = {"policy_lr": 0.0, "n_steps": 1 << 40, "act": "c"}


@pytest.mark.parametrize("budgets", [(3, 5, 2), (15, 25, 10)])
@pytest.mark.parametrize(
    ("defaults", "verdicts"),
    [(POOR, {"improvement", "unclear"}), (GOOD, {"no improvement", "unclear"}), (OUTSIDE, {"improvement", "unclear"})],
)
def test_a_sweep_without_a_race_says_whether_it_beat_the_defaults(
    budgets: tuple[int, int, int], defaults: Config, verdicts: set[str]
) -> None:
    done, best = run_sweep(budgets, 0, defaults=defaults, compared=True, noise=0.01)
    assert len(done) == sum(budgets)
    trained = [(run.stage, run.index) for run in done if run.config == defaults]
    assert trained == [(1, 0), (3, budgets[2] - 1)]
    assert not any(run.finalist for run in done)
    assert best is not None
    assert best.verdict in verdicts
    assert best.probability_better_than_defaults is not None
    if budgets[0] > 3 and defaults is POOR:
        assert best.verdict == "improvement"


def test_a_single_lucky_run_is_no_improvement() -> None:
    planned = make_search(SPACE, "maximize", (40, 0, 0), first=GOOD).plan()
    random = np.random.default_rng(1)
    runs = [
        Evaluation(stage=1, index=index, config=config, outcome="finished", value=0.2 * random.normal())
        for index, config in enumerate(planned)
    ]
    best = recommend(SPACE, runs, GOOD, "maximize")
    assert best is not None
    assert best.verdict in ("unclear", "no improvement")


def test_defaults_outside_the_space_narrow_nothing() -> None:
    lead: Config = {**OUTSIDE, "act": "b"}
    search = make_search(SPACE, "maximize", (12, 10, 10), 0, defaults=lead, first=lead)
    runs = [
        Evaluation(stage=1, index=index, config=config, outcome="finished", value=9.0 if not index else measure(config))
        for index, config in enumerate(search.plan())
    ]
    assert runs[0].config == lead
    assert search.narrow(2, runs, SPACE) == search.narrow(2, runs[1:], SPACE)
    assert all(SPACE.contains(one.config) for one in search.propose(2, SPACE, runs, [], 0, 3))


def test_the_defaults_run_of_the_search_counts_in_the_race() -> None:
    done, best = run_sweep((18, 30, 18), 12, defaults=POOR, compared=True)
    assert sum(run.config == POOR for run in done) == DEFAULTS_RUNS
    assert done[0].config == POOR
    assert best is not None
    assert best.verdict == "improvement"


def test_defaults_that_lead_are_recommended_though_they_did_not_race() -> None:
    planned = make_search(SPACE, "maximize", (20, 0, 0), first=GOOD).plan()
    runs = [Evaluation(stage=1, index=i, config=c, outcome="finished", value=measure(c)) for i, c in enumerate(planned)]
    second = max(planned[1:], key=measure)
    runs.append(runs[0].model_copy(update={"stage": 3, "config": second, "value": measure(second), "finalist": True}))
    best = recommend(SPACE, runs, GOOD, "maximize")
    assert best is not None
    assert (best.config, best.seeds, best.verdict) == (GOOD, 1, "no improvement")


def test_a_stage_3_that_goes_on_trains_the_defaults_once() -> None:
    done, _ = run_sweep((5, 5, 4), 0, defaults=POOR, compared=True)
    grown = make_search(SPACE, "maximize", (5, 5, 9), 0, defaults=POOR, first=POOR, again=POOR)
    assert POOR not in [one.config for one in grown.propose(3, SPACE, done, [], 4, 5)]
    search = make_search(SPACE, "maximize", (5, 5, 4), 0, defaults=POOR, first=POOR, again=POOR)
    assert len(search.propose(3, SPACE, done, [Proposal(config=POOR)], 3, 1)) == 1
    lacking = [run for run in done if run.stage < 3]
    assert [one.config for one in search.propose(3, SPACE, lacking, [], 3, 4)] == [POOR]
    assert POOR not in [one.config for one in search.propose(3, SPACE, lacking, [], 0, 3)]


def test_defaults_that_raced_alone_have_beaten_nobody() -> None:
    poor: Config = {"policy_lr": 1e-2, "n_steps": 1024, "act": "a"}
    done, _ = run_sweep((18, 30, 12), 0)
    done.append(Evaluation(stage=3, index=12, config=poor, outcome="finished", value=measure(poor), finalist=True))
    best = recommend(SPACE, done, poor, "maximize")
    assert best is not None
    assert best.config != poor
    assert best.verdict == "improvement"


def test_defaults_outside_the_space_race_as_well() -> None:
    outside: Config = {"policy_lr": 0.0, "n_steps": 2048, "act": "c"}
    runs = [
        Evaluation(stage=1, index=index, config=config, outcome="finished", value=measure(config))
        for index, config in enumerate(make_search(SPACE, "maximize", (20, 0, 0)).plan())
    ]
    chosen = make_race(SPACE, outside, "maximize").propose(runs, [], 12, 12)
    assert len(chosen) == 12
    assert chosen.count(outside) >= DEFAULTS_RUNS
    runs.append(Evaluation(stage=3, index=0, config=outside, outcome="finished", value=-9.0, finalist=True))
    best = recommend(SPACE, runs, outside, "maximize")
    assert best is not None
    assert best.config == outside or best.probability_better_than_defaults


def test_the_search_goes_on_after_a_race_whose_defaults_have_no_logarithm() -> None:
    space = parse_params("ent_coef:log:1e-5-1e-2,n_steps")
    defaults: Config = {"ent_coef": 0.0, "n_steps": 0}
    search = make_search(space, "maximize", (20, 10, 10), 5, defaults=defaults)
    runs = [
        Evaluation(stage=1, index=index, config=config, outcome="finished", value=float(index % 7))
        for index, config in enumerate(search.plan())
    ]
    runs.append(Evaluation(stage=3, index=9, config=defaults, outcome="finished", value=3.0, finalist=True))
    grown = make_search(space, "maximize", (20, 10, 40), 5, defaults=defaults)
    for proposal in grown.propose(3, space, runs, [Proposal(config=defaults, finalist=True)], 10, 3):
        assert space.contains(proposal.config)
    assert np.all(space.to_unit(defaults) < 0)


def test_without_a_race_the_model_recommends_a_trained_config() -> None:
    done, best = run_sweep((15, 25, 10), 0)
    assert best is not None
    assert best.config in [run.config for run in done]
    assert best.seeds == 1


def test_where_nothing_has_a_value_nothing_is_recommended() -> None:
    search = make_search(SPACE, "maximize", (5, 5, 5), 3)
    failed = [
        Evaluation(stage=1, index=index, config=config, outcome="failed", value=None)
        for index, config in enumerate(search.plan())
    ]
    assert search.recommend(failed) is None
    assert search.propose(3, SPACE, failed, [], 2, 3) == []
    assert len(search.propose(2, SPACE, failed, [], 0, 3)) == 3
    assert search.narrow(2, failed, SPACE).space == SPACE


def test_a_contender_that_fails_on_a_fresh_seed_is_not_recommended() -> None:
    configs = make_search(SPACE, "maximize", (30, 0, 0)).plan()
    runs = [Evaluation(stage=1, index=i, config=c, outcome="finished", value=measure(c)) for i, c in enumerate(configs)]
    first = recommend(SPACE, runs, None, "maximize")
    assert first is not None
    [second] = make_race(SPACE, None, "maximize").propose(runs, [first.config] * 50, 5, 1)
    assert second != first.config
    for index, config in enumerate([first.config, second] * 2):
        failed = config == first.config
        runs.append(
            Evaluation(
                stage=3,
                index=index,
                config=config,
                outcome="failed" if failed else "finished",
                value=None if failed else measure(config),
                finalist=True,
            )
        )
    best = recommend(SPACE, runs, None, "maximize")
    assert best is not None
    assert best.config == second


@settings(max_examples=8, deadline=None)
@given(st.integers(10, 45), st.integers(1, 12), st.integers(0, 99), st.data())
def test_any_budget_is_used_exactly(total: int, workers: int, seed: int, data: st.DataObject) -> None:
    budgets = split_budget(total, Split())
    finalists = data.draw(st.integers(0, budgets[2]))
    done, best = run_sweep(budgets, finalists, workers=workers, seed=seed)
    assert len(done) == total
    assert sum(run.finalist for run in done) == finalists
    assert best is not None
