"""What a page is told beside the sweep's state, look by look."""

from collections.abc import Sequence

import pytest

from multistage.domain.runs.results import Evaluation
from multistage.domain.sweep.state import Recommended
from multistage.driver import page_evidence
from multistage.driver.page_evidence import FEWEST, MOST_POINTS, MOST_REASONS, Look, PageEvidence
from multistage.search.finalists import Recommendation
from tests.domain.live.test_digest import make_run
from tests.states import make_state

FOUND = Recommended(config={"lr": 1e-3}, mean=0.8, interval=(0.7, 0.9), seeds=1, probability_better_than_defaults=0.97)


class Judge:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, evaluations: Sequence[Evaluation]) -> Recommendation | None:
        self.asked.append(len(evaluations))
        told = {**FOUND.model_dump(), "verdict": "improvement"}
        return Recommendation.model_validate(told)


def make_evaluations(count: int) -> list[Evaluation]:
    return [
        Evaluation(stage=1, index=index, config={"lr": 1e-3}, outcome="finished", value=0.5) for index in range(count)
    ]


def test_curves_grow_by_what_each_look_shows_and_keep_their_ends() -> None:
    evidence = PageEvidence(Judge(), lambda _: "")
    for rows in range(1, 1000):
        active = make_run(0, "active", value=rows / 1000, rows=rows)
        curves = evidence.follow_curves([active, make_run(1)])
        assert curves == evidence.follow_curves([active])  # nothing new, nothing added
    (curve,) = curves.values()
    assert MOST_POINTS // 2 <= len(curve) <= MOST_POINTS
    assert curve[-1] == (999.0, 0.999)
    assert [rows for rows, _ in curve] == sorted({rows for rows, _ in curve})
    assert evidence.follow_curves([make_run(0, "active", value=None)])["run0"] == curve
    assert evidence.follow_curves([make_run(0)]) == {}
    assert evidence.follow_curves([make_run(0, "active", value=None)]) == {"run0": ()}


def test_a_failed_run_s_reason_is_its_own_or_is_looked_up_once() -> None:
    asked: list[str] = []

    def explain(run_id: str) -> str:
        asked.append(run_id)
        return "MemoryError: no room"

    evidence = PageEvidence(Judge(), explain)
    runs = [make_run(0, "failed"), make_run(1, "failed", error="ValueError"), make_run(2)]
    assert evidence.find_reasons(runs) == {"run0": "MemoryError: no room"}
    assert evidence.find_reasons(runs) == {"run0": "MemoryError: no room"}
    assert asked == ["run0"]
    many = [make_run(index, "failed") for index in range(MOST_REASONS + 20)]
    assert len(evidence.find_reasons(many)) == MOST_REASONS


def test_a_recommendation_is_made_again_once_it_is_worth_the_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("multistage.driver.page_evidence.time.monotonic", lambda: clock[0])
    judge, state = Judge(), make_state(1)
    evidence = PageEvidence(judge, lambda _: "")
    assert evidence.judge(state, make_evaluations(FEWEST - 1)) is None
    standing = evidence.judge(state, make_evaluations(FEWEST))
    assert standing is not None
    assert standing.told == "That it beats the defaults is 97% likely."
    assert evidence.judge(state, make_evaluations(FEWEST + 1)) == standing  # too early
    clock[0] += page_evidence.JUDGED_EVERY
    evidence.judge(state, make_evaluations(FEWEST))  # nothing new
    evidence.judge(state, make_evaluations(FEWEST + 1))
    assert judge.asked == [FEWEST, FEWEST + 1]
    ended = state.model_copy(update={"recommended": FOUND.model_copy(update={"mean": 0.75})})
    final = evidence.judge(ended, make_evaluations(9))
    assert final is not None
    assert final.mean == 0.75
    assert judge.asked == [FEWEST, FEWEST + 1]


def test_a_look_lists_stage_by_stage() -> None:
    look = Look({2: (make_run(5),), 1: (make_run(1), make_run(0))}, {2: tuple(make_evaluations(1))})
    assert [run.run_id for run in look.list_runs()] == ["run1", "run0", "run5"]
    assert len(look.list_evaluations()) == 1
