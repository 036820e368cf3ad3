import warnings

import numpy as np

from multistage.domain.grammar import parse_params
from multistage.domain.results import Config, Evaluation
from multistage.search.importance import FEWEST, measure_importance
from multistage.search.multistage import StagedSearch
from multistage.search.sobol import sample_sobol

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
    result = StagedSearch(SPACE, "maximize", (60, 30, 10)).narrow(2, explore(60), SPACE)
    notes = {note.name: note for note in result.notes}
    assert (notes["policy_lr"].importance or 0) > 0.5
    assert result.space["act"] == SPACE["act"]
    assert "left alone" in notes["act"].evidence
    assert all(note.evidence.endswith(".") and note.evidence.count(". ") == 0 for note in result.notes)
