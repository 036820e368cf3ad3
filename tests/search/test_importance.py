import warnings

import numpy as np
import pytest

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.grammar import parse_params
from multistage.domain.sweep.plan import StageNumber
from multistage.search.importance import FEWEST, measure_importance
from multistage.search.sobol import sample_sobol
from tests.search.searches import make_search

SPACE = parse_params("policy_lr,n_steps,act:[a|b|c],k:int:1-50,x:0-1")


def explore(count: int, name: str = "policy_lr", noise: float = 0.1) -> list[Evaluation]:
    random = np.random.default_rng(0)

    def value(config: Config) -> float:
        return float(-5 * (SPACE[name].to_unit(config[name]) - 0.3) ** 2 + noise * random.normal())

    configs = sample_sobol(SPACE, count, 0)
    return [
        Evaluation(stage=1, index=index, config=config, outcome="finished", value=value(config))
        for index, config in enumerate(configs)
    ]


def test_what_decides_the_metric_is_found_and_nothing_else() -> None:
    for name in ("policy_lr", "k"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = measure_importance(SPACE, explore(150, name), "maximize")
        assert next(iter(found)) == name
        assert set(found) == set(SPACE.names)
        assert found[name].matters
        assert found[name].share > 0.5
        assert abs(sum(one.share for one in found.values()) - 1) < 1e-9
        assert sum(one.matters for one in found.values()) <= 2
    assert measure_importance(SPACE, explore(60), "maximize") == measure_importance(SPACE, explore(60), "maximize")


@pytest.mark.parametrize("seed", range(3))
def test_where_the_search_crowded_does_not_pass_for_what_matters(seed: int) -> None:
    space = parse_params("much:0-1,some:0-1,little:0-1,nothing:0-1")
    random = np.random.default_rng(seed)
    search = make_search(space, "maximize", (45, 75, 30), seed=seed)
    runs: list[Evaluation] = []

    def train(stage: StageNumber, config: Config) -> None:
        much, some, little, _ = (float(config[name]) for name in space.names)
        value = -3 * (much - 0.6) ** 2 - 0.8 * (some - 0.4) ** 2 - 0.2 * (little - 0.5) ** 2
        value += 0.05 * random.normal()
        run = Evaluation(stage=stage, index=len(runs), config=config, outcome="finished", value=value)
        runs.append(run)

    for config in search.plan():
        train(1, config)
    box = search.narrow(2, runs, space).space
    for used in range(75):
        train(2, search.propose(2, box, runs, [], used, 1)[0].config)
    found = measure_importance(space, runs, "maximize")
    assert next(iter(found)) == "much"
    assert found["much"].matters
    assert not found["nothing"].matters
    assert {note.name: note.importance for note in search.narrow(3, runs, box).notes} == {
        name: one.share for name, one in found.items()
    }


def test_too_little_evidence_says_nothing() -> None:
    assert measure_importance(SPACE, explore(FEWEST - 1), "maximize") == {}
    equal = [run.model_copy(update={"value": 3.0}) for run in explore(40)]
    assert measure_importance(SPACE, equal, "minimize") == {}
    failed = [run.model_copy(update={"outcome": "failed", "value": None}) for run in explore(40)]
    assert measure_importance(SPACE, failed, "maximize") == {}
    still = parse_params("x:[0.5],act:[a]")
    same = [Evaluation(stage=1, index=i, config={"x": 0.5, "act": "a"}, outcome="finished", value=i) for i in range(30)]
    assert measure_importance(still, same, "maximize") == {}


def test_a_narrowing_tells_importance_and_leaves_idle_choices_alone() -> None:
    result = make_search(SPACE, "maximize", (60, 30, 10)).narrow(2, explore(60), SPACE)
    notes = {note.name: note for note in result.notes}
    assert (notes["policy_lr"].importance or 0) > 0.5
    assert result.space["act"] == SPACE["act"]
    assert "left alone" in notes["act"].evidence
    assert all(note.evidence.endswith(".") and note.evidence.count(". ") == 0 for note in result.notes)
