"""Any space and any evidence, through the whole search: proposals that can be trained, and not a word of the algebra.

pytest makes every Python warning an error here; what LAPACK prints by itself is caught where a file is given.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from multistage.domain.runs.results import Evaluation, Goal
from multistage.domain.space.multiples import quantize
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.domain.space.search_space import SearchSpace
from multistage.search.base import Proposal
from multistage.search.sobol import key_of
from tests.search.searches import make_search

BUDGETS = (14, 8, 8)
FINALISTS = 4
OPEN = 3
"""Runs under way at once."""
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)
"""No shrinking: a whole sweep an example would take minutes of it."""
Draw = st.DrawFn
FAILED = None
VALUES: Mapping[str, Sequence[float | None]] = {
    "all failed": [FAILED],
    "all equal": [3.0],
    "one run": [1.0, *[FAILED] * 40],
    "one NaN": [math.nan, *map(float, range(40))],
    "one infinite": [math.inf, *map(float, range(40))],
    "one infinitely bad": [-math.inf, *map(float, range(40))],
    "all NaN": [math.nan],
    "two values": [0.0, 1.0],
    "huge": [1e300, -1e300, 1.7e308],
    "tiny": [1e-300, 5e-324, 0.0],
    "one diverged": [-1e30, *map(float, range(40))],
}
LARGE = ("one NaN",)
"""Evidence with which the largest space is tried each time: a sweep of it takes seconds."""
SPACES: Mapping[str, Sequence[Parameter]] = {
    "a single category": [CategoricalParameter(name="a", choices=("only",))],
    "a range of width 0": [FloatParameter(name="x", low=0.5, high=0.5)],
    "ranges of width 0 on every scale": [
        FloatParameter(name="x", low=1e-4, high=1e-4, scale="log"),
        IntParameter(name="k", low=3, high=3, scale="log"),
        PowerOfTwoParameter(name="b", low=64, high=64),
    ],
    "one that varies among those that do not": [
        CategoricalParameter(name="a", choices=("only",)),
        FloatParameter(name="x", low=0.5, high=0.5),
        FloatParameter(name="y", low=0, high=1),
    ],
    "100 parameters": [FloatParameter(name=f"p{index}", low=0, high=1) for index in range(100)],
}


@st.composite
def parameters(draw: Draw, name: str) -> Parameter:
    kind = draw(st.sampled_from(["float", "log", "step", "int", "int log", "power", "choice"]))
    match kind:
        case "float":
            low, width = draw(st.floats(-1e6, 1e6)), draw(st.sampled_from([0.0, 1e-3, 0.5, 3.0, 1e6]))
            return FloatParameter(name=name, low=low, high=low + width)
        case "log":
            low, ratio = 10 ** draw(st.floats(-9, 3)), draw(st.sampled_from([1.0, 1.0001, 10.0, 1e9]))
            return FloatParameter(name=name, low=low, high=low * ratio, scale="log")
        case "step":
            step, low, count = (
                draw(st.sampled_from([0.1, 0.25, 2.0])),
                draw(st.integers(-9, 9)),
                draw(st.integers(0, 9)),
            )
            ends = quantize(low * step, step), quantize((low + count) * step, step)
            return FloatParameter(name=name, low=ends[0], high=ends[1], step=step)
        case "int" | "int log":
            low, width = draw(st.integers(1, 1000)), draw(st.sampled_from([0, 1, 5, 100_000]))
            return IntParameter(name=name, low=low, high=low + width, scale="log" if kind == "int log" else "linear")
        case "power":
            low, width = draw(st.integers(0, 8)), draw(st.integers(0, 6))
            return PowerOfTwoParameter(name=name, low=1 << low, high=1 << (low + width))
    choices = draw(st.lists(st.sampled_from(["relu", "tanh", 0.5, 7, False]), min_size=1, max_size=4, unique=True))
    return CategoricalParameter(name=name, choices=tuple(choices))


@st.composite
def spaces(draw: Draw) -> SearchSpace:
    return SearchSpace(parameters=tuple(draw(parameters(f"p{index}")) for index in range(draw(st.integers(1, 4)))))


def sweep(space: SearchSpace, values: Sequence[float | None], goal: Goal, seed: int) -> list[list[Proposal]]:
    """A whole sweep whose runs end with these values, again and again; what was proposed, answer by answer."""
    defaults = space.from_unit([0.5] * len(space))
    search = make_search(space, goal, BUDGETS, FINALISTS, defaults=defaults, seed=seed)
    done: list[Evaluation] = []

    def train(stage: int, index: int, proposal: Proposal) -> None:
        value = values[len(done) % len(values)]
        outcome: Literal["failed", "finished"] = "failed" if value is None else "finished"
        done.append(
            Evaluation(
                stage=stage,
                index=index,
                config=proposal.config,
                outcome=outcome,
                value=value,
                finalist=proposal.finalist,
            )
        )

    answers = [[Proposal(config=config) for config in search.plan()]]
    for index, proposal in enumerate(answers[0]):
        train(1, index, proposal)
    box = space
    for stage in (2, 3):
        box = search.narrow(stage, done, box).space
        used, pending = 0, dict[int, Proposal]()
        while used < BUDGETS[stage - 1]:
            found = search.propose(stage, box, done, list(pending.values()), used, OPEN - len(pending))
            if not found:
                break
            under_way = {key_of(proposal.config) for proposal in pending.values()}
            for proposal in found:
                key = key_of(proposal.config)
                assert proposal.finalist or box.contains(proposal.config)
                assert proposal.finalist or key not in under_way or len(under_way) >= (box.size or math.inf)
                under_way.add(key)
                pending[used] = proposal
                used += 1
            answers.append(list(found))
            train(stage, min(pending), pending.pop(min(pending)))
        for index, proposal in pending.items():
            train(stage, index, proposal)
    best = search.recommend(done)
    known = any(run.value is not None and math.isfinite(run.value) for run in done)
    assert (best is not None) == known
    assert best is None or (math.isfinite(best.mean) and not math.isnan(sum(best.interval)))
    return answers


def check(space: SearchSpace, values: Sequence[float | None], goal: Goal, seed: int) -> None:
    answers = sweep(space, values, goal, seed)
    assert len(answers[0]) == BUDGETS[0]
    assert all(space.contains(proposal.config) for answer in answers for proposal in answer)
    proposed = sum(map(len, answers))
    assert proposed == sum(BUDGETS) or (all(value is None or not math.isfinite(value) for value in values))
    assert proposed >= sum(BUDGETS) - FINALISTS


CASES = [
    pytest.param(kind, evidence, marks=pytest.mark.slow if len(space) == 100 and evidence not in LARGE else ())
    for kind, space in SPACES.items()
    for evidence in VALUES
]


@pytest.mark.parametrize(("kind", "evidence"), CASES)
def test_a_sweep_of_any_evidence_is_searched_in_silence(
    kind: str, evidence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    check(SearchSpace(parameters=tuple(SPACES[kind])), VALUES[evidence], "maximize", 0)
    assert capfd.readouterr() == ("", "")


NUMBERS: Any = st.one_of(st.none(), st.floats(), st.floats(-100, 100))


@settings(max_examples=15, deadline=None, phases=PHASES)
@given(
    spaces(), st.lists(NUMBERS, min_size=1, max_size=30), st.sampled_from(["maximize", "minimize"]), st.integers(0, 9)
)
@example(SearchSpace(parameters=(IntParameter(name="k", low=1, high=2),)), [1.0], "minimize", 0)
def test_what_is_proposed_can_be_trained_and_is_proposed_once(
    space: SearchSpace, values: list[float | None], goal: Goal, seed: int
) -> None:
    check(space, values, goal, seed)


@settings(max_examples=5, deadline=None, phases=PHASES)
@given(spaces(), st.lists(NUMBERS, min_size=1, max_size=30), st.integers(0, 9))
def test_a_seed_gives_the_same_proposals_again(space: SearchSpace, values: list[float | None], seed: int) -> None:
    assert sweep(space, values, "maximize", seed) == sweep(space, values, "maximize", seed)
