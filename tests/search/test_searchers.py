"""Every searcher that comes with the project keeps the promises that strangers' have to keep."""

import pytest

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.grammar import parse_params
from multistage.search.base import Proposal, SearchProblem
from multistage.search.conformance import CASES, Case
from multistage.search.registry import BUILT_IN, VARIANTS, check_search, create_searcher, list_searches
from multistage.search.searchers.optuna import SAMPLERS
from multistage.search.sobol import key_of, sample_sobol

SEARCHES = [*(name for name in BUILT_IN if name not in VARIANTS), "optuna:tpe"]
SPACE = parse_params("x:0-1,y:0-1")


def test_all_searches_are_listed() -> None:
    assert {"optuna": tuple(SAMPLERS)} == VARIANTS
    assert {"auto", "gp", "optuna:tpe"} <= set(list_searches())
    for search in set(list_searches()) - {"auto", "optuna:gp"}:
        check_search(search)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("search", SEARCHES)
def test_a_searcher_keeps_its_promises(search: str, case: Case) -> None:
    case.check(search)


@pytest.mark.slow
@pytest.mark.parametrize("search", ["optuna:gp", "optuna:random"])
def test_optunas_other_samplers_take_any_evidence(search: str) -> None:
    next(case for case in CASES if "continuous" in case.name).check(search)


def find_best(search: str, seed: int) -> float:
    """The best of a stage of 30 runs in the whole space, one after the other, after 10 of stage 1."""
    searcher = create_searcher(search, SearchProblem(space=SPACE, goal="minimize", budgets=(10, 30, 0), seed=seed))
    runs: list[Evaluation] = []

    def train(config: Config) -> None:
        value = (float(config["x"]) - 0.3) ** 2 + (float(config["y"]) - 0.7) ** 2
        stage = 1 if len(runs) < 10 else 2
        runs.append(Evaluation(stage=stage, index=len(runs), config=config, outcome="finished", value=value))

    for config in searcher.plan():
        train(config)
    for used in range(30):
        train(searcher.propose(2, SPACE, runs, [], used, 1)[0].config)
    return min(run.value or 0.0 for run in runs)


def test_tpe_learns_what_chance_does_not() -> None:
    bests = {search: sum(find_best(search, seed) for seed in range(3)) for search in ("optuna:tpe", "random")}
    assert bests["optuna:tpe"] < 0.5 * bests["random"]


def test_random_configs_do_not_depend_on_who_ends_first() -> None:
    searcher = create_searcher("random", SearchProblem(space=SPACE, goal="minimize", budgets=(0, 9, 0), seed=4))
    whole = searcher.propose(2, SPACE, [], [], 0, 4)
    ended = [
        Evaluation(stage=2, index=index, config=one.config, outcome="failed", value=None)
        for index, one in enumerate(whole[:2])
    ]
    assert list(searcher.propose(2, SPACE, ended, [whole[2]], 3, 1)) == [whole[3]]
    other = create_searcher("random", SearchProblem(space=SPACE, goal="minimize", budgets=(0, 9, 0), seed=5))
    assert list(other.propose(2, SPACE, [], [], 0, 4)) != list(whole)


def test_sobol_points_go_on_where_the_sequence_was() -> None:
    searcher = create_searcher("sobol", SearchProblem(space=SPACE, goal="minimize", budgets=(0, 16, 0), seed=4))
    pending: list[Proposal] = []
    while len(pending) < 16:
        pending += searcher.propose(2, SPACE, [], pending, len(pending), 3)
    found = [one.config for one in pending]
    assert {key_of(config) for config in found} == {key_of(config) for config in sample_sobol(SPACE, 16, 4)}
