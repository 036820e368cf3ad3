import math

from hypothesis import given
from hypothesis import strategies as st

from multistage.domain.runs.results import Evaluation, Goal, Outcome
from multistage.domain.runs.selection import rank, select_top


def run(value: float | None, index: int = 0, stage: int = 1, outcome: Outcome = "finished") -> Evaluation:
    return Evaluation(stage=stage, index=index, config={"x": index}, outcome=outcome, value=value)


def test_what_has_no_finite_value_or_did_not_finish_never_leads() -> None:
    runs = [
        run(None, 0),
        run(math.nan, 1),
        run(math.inf, 2),
        run(-math.inf, 3),
        run(99, 4, outcome="stopped"),
        run(99, 5, outcome="failed"),
        run(1, 6),
    ]
    for goal in ("maximize", "minimize"):
        assert [evaluation.index for evaluation in rank(runs, goal)] == [6]
        assert [evaluation.index for evaluation in select_top(runs, goal)] == [6]


def test_equal_values_go_to_the_earlier_run() -> None:
    runs = [run(1, 3, 2), run(1, 9, 1), run(1, 2, 2), run(2, 7, 3)]
    assert [(e.stage, e.index) for e in rank(runs, "maximize")] == [(3, 7), (1, 9), (2, 2), (2, 3)]
    assert [(e.stage, e.index) for e in rank(runs, "minimize")] == [(1, 9), (2, 2), (2, 3), (3, 7)]


def test_the_top_is_a_tenth_and_at_least_five() -> None:
    runs = [run(float(index), index) for index in range(150)]
    assert [e.index for e in select_top(runs, "maximize")] == list(range(149, 134, -1))
    assert len(select_top(runs[:30], "maximize")) == 5
    assert len(select_top(runs[:3], "maximize")) == 3
    assert select_top([], "maximize") == []
    assert len(select_top(runs, "maximize", share=0.5, minimum=1)) == 75


@given(st.lists(st.floats() | st.none(), max_size=60), st.sampled_from(["maximize", "minimize"]))
def test_the_top_is_as_good_as_any_other(values: list[float | None], goal: Goal) -> None:
    runs = [run(value, index) for index, value in enumerate(values)]
    top = select_top(runs, goal)
    assert len(top) <= max(5, round(0.1 * len(runs)))
    rest = [e for e in rank(runs, goal) if e not in top]
    for leader in top:
        for other in rest:
            assert leader.value is not None
            assert other.value is not None
            assert leader.value >= other.value if goal == "maximize" else leader.value <= other.value
