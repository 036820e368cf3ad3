"""Whether a searcher keeps its promises: any space, any evidence, exact counts, the same answers for a seed.

It is part of the package so that whoever writes a searcher can hold it to what this project's own are held to::

    import pytest
    from multistage.search.conformance import CASES, Case

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_my_searcher_keeps_its_promises(case: Case) -> None:
        case.check("mine")

A case raises ``AssertionError`` with a sentence where a promise is broken. What the promises are says
`multistage.search.base.Searcher`.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import find_proposer
from multistage.errors import BudgetError
from multistage.search.base import Proposal, Searcher, SearchProblem
from multistage.search.registry import create_searcher
from multistage.search.sobol import sample_sobol

BUDGETS = (12, 10, 8)
SPACES: Mapping[str, Sequence[Parameter]] = {
    "mixed": [
        FloatParameter(name="lr", low=1e-5, high=1e-1, scale="log"),
        FloatParameter(name="step", low=0.1, high=0.9, step=0.1),
        IntParameter(name="layers", low=1, high=300, scale="log"),
        PowerOfTwoParameter(name="batch", low=8, high=256),
        CategoricalParameter(name="act", choices=("relu", "tanh", 0.5, False)),
    ],
    "one continuous range": [FloatParameter(name="x", low=-3.0, high=1e6)],
    "a log range with a step": [FloatParameter(name="q", low=0.5, high=64.0, scale="log", step=0.5)],
    "choices alone": [
        CategoricalParameter(name="a", choices=("x", "y", "z")),
        CategoricalParameter(name="b", choices=(True, False)),
    ],
    "a single config": [
        CategoricalParameter(name="a", choices=("only",)),
        FloatParameter(name="x", low=0.5, high=0.5),
        IntParameter(name="k", low=3, high=3),
        PowerOfTwoParameter(name="b", low=64, high=64),
    ],
    "single values beside a range": [
        FloatParameter(name="x", low=1e-4, high=1e-4, scale="log"),
        FloatParameter(name="y", low=0.0, high=1.0),
        CategoricalParameter(name="a", choices=("only",)),
    ],
    "two configs": [IntParameter(name="k", low=1, high=2)],
    "ten parameters": [FloatParameter(name=f"p{index}", low=0.0, high=1.0) for index in range(10)],
}
"""By what is told apart."""
FAILED = None
EVIDENCE: Mapping[str, Sequence[float | None]] = {
    "none": [],
    "one run": [1.0],
    "good and bad runs": [0.3, 0.9, FAILED, -2.0, 0.5, 0.7],
    "all equal": [3.0],
    "all failed": [FAILED],
    "all NaN": [math.nan],
    "NaN and infinite": [math.nan, 1.0, math.inf, 2.0, -math.inf, 3.0],
    "huge": [1e300, -1e300, 1.7e308],
    "hugely bad": [-1.7e308, -1.7e308, -1.7e308, 1.0],
    "tiny": [1e-300, 5e-324, 0.0],
}
"""Values by what is told apart, dealt out in turns to stage 1's runs."""


class Case(NamedTuple):
    """One promise."""

    name: str
    check: Callable[[str], None]
    """Takes the searcher's name, as ``--search`` does."""

    def __str__(self) -> str:
        return self.name


def check_searcher(search: str) -> None:
    """Check all cases.

    Args:
        search: The searcher's name, with a colon and a variant where it has some.

    Raises:
        AssertionError: A promise is broken.
        UsageError: There is no such searcher.
    """
    for case in CASES:
        case.check(search)


def _expect(kept: bool, broken: str) -> None:
    if not kept:
        raise AssertionError(broken)


def _pose(space: SearchSpace, **more: Any) -> SearchProblem:
    return SearchProblem(**{"space": space, "goal": "maximize", "budgets": BUDGETS, "seed": 7} | more)


def _expect_configs(configs: Sequence[Config], space: SearchSpace, count: int, told: str) -> None:
    _expect(len(configs) == count, f"{told}: {len(configs)} configs instead of {count}")
    for config in configs:
        _expect(space.contains(config), f"{told}: {config} is not in the box {space.bounds}")
        plain = all(type(value) in (bool, int, float, str) for value in config.values())
        _expect(plain, f"{told}: {config} has a value that is not a plain Python one")


def _deal(space: SearchSpace, values: Sequence[float | None], goal: str = "maximize") -> list[Evaluation]:
    """Stage 1's runs with these values; one was stopped early."""
    configs = sample_sobol(space, BUDGETS[0], 3) if values else []
    sign = 1 if goal == "maximize" else -1
    runs = []
    for index, config in enumerate(configs):
        value = values[index % len(values)]
        outcome: Literal["finished", "stopped", "failed"] = "failed" if value is None else "finished"
        if index == 5 and value is not None:
            outcome = "stopped"
        runs.append(
            Evaluation(
                stage=1, index=index, config=config, outcome=outcome, value=None if value is None else sign * value
            )
        )
    return runs


def _make(search: str, problem: SearchProblem) -> Searcher:
    return create_searcher(search, problem)


def _check_plan(search: str) -> None:
    for kind, parameters in SPACES.items():
        space = SearchSpace(parameters=tuple(parameters))
        for method in ("auto", "sobol"):
            for runs in (1, 7, 30):
                told = f"the plan of {runs} runs, space {kind!r}, stage1 {method}"
                problem = _pose(space, stage1=method, budgets=(runs, 5, 5))
                configs = list(_make(search, problem).plan())
                _expect_configs(configs, space, _count(search, runs), told)
                _expect(configs == list(_make(search, problem).plan()), f"{told}: another one the second time")


def _check_grid(search: str) -> None:
    space = SearchSpace(parameters=tuple(SPACES["choices alone"]))
    grid = [] if find_proposer(search) == "server" else space.grid(5)
    for method in ("grid", "auto"):
        planned = list(_make(search, _pose(space, stage1=method)).plan())
        for config in grid:
            _expect(config in planned, f"stage1 {method}: {config} of the grid is not planned")
        _expect(method == "auto" or len(planned) == len(grid), f"stage1 grid: {len(planned)} configs are planned")
    first: Config = {"a": "w", "b": True}
    planned = list(_make(search, _pose(space, first=first)).plan())
    _expect(planned[: len(grid)][:1] == ([first] if grid else []), "the defaults are not planned first")
    if grid:
        try:
            _make(search, _pose(space, stage1="grid", budgets=(3, 5, 5))).plan()
        except BudgetError:
            return
        raise AssertionError("a grid that does not fit is not refused")


def _check_prior(search: str) -> None:
    space = SearchSpace(parameters=tuple(SPACES["mixed"]))
    known = sample_sobol(space, 9, 11)
    first = space.from_unit([0.5] * len(space))
    for runs, share in ((1, 0), (12, 6), (40, 9)):
        told = f"the plan of {runs} runs with a prior of {len(known)} configs"
        planned = list(_make(search, _pose(space, budgets=(runs, 5, 5), first=first, prior=tuple(known))).plan())
        _expect_configs(planned, space, _count(search, runs), told)
        wanted = [first, *known[:share]] if planned else []
        _expect(
            planned[: share + 1] == wanted, f"{told}: they do not come after the defaults, in up to half of the runs"
        )
    small = SearchSpace(parameters=tuple(SPACES["choices alone"]))
    problem = _pose(small, stage1="grid", prior=({"a": "x", "b": True},))
    _expect(
        len(list(_make(search, problem).plan())) == _count(search, small.grid_size(5)), "a grid alone takes no prior"
    )


def _count(search: str, count: int) -> int:
    """How many configs a searcher gives that was asked for so many; the server's engine gives them itself."""
    return 0 if find_proposer(search) == "server" else count


def _check_proposals(kind: str) -> Callable[[str], None]:
    space = SearchSpace(parameters=tuple(SPACES[kind]))

    def check(search: str) -> None:
        for evidence, values in EVIDENCE.items():
            told = f"space {kind!r}, evidence {evidence!r}"
            problem = _pose(space, goal="minimize")
            runs = _deal(space, values, "minimize")
            searcher = _make(search, problem)
            box = searcher.narrow(2, runs, space).space
            _expect_box(box, space, told)
            asked: list[list[Config]] = []
            for one in (searcher, _make(search, problem)):
                asked.append([])
                pending: list[Proposal] = []
                for count in (1, 3):
                    found = one.propose(2, box, runs, pending, len(pending), count)
                    _expect_configs([each.config for each in found], box, _count(search, count), told)
                    pending += found
                    asked[-1] += [each.config for each in found]
            _expect(asked[0] == asked[1], f"{told}: the same seed and questions had other answers")
            last = searcher.propose(2, box, runs, [], BUDGETS[1] - 1, 4)
            _expect_configs([each.config for each in last], box, _count(search, 1), f"{told}, the last slot")
            _expect(not searcher.propose(2, box, runs, [], BUDGETS[1], 1), f"{told}: a slot too many")

    return check


def _expect_box(box: SearchSpace, space: SearchSpace, told: str) -> None:
    _expect(box.names == space.names, f"{told}: the box names {box.names}")
    for parameter in box.parameters:
        for value in parameter.bounds:
            _expect(space[parameter.name].contains(value), f"{told}: {parameter.name} is narrowed to {value}")


def _check_recommendation(search: str) -> None:
    space = SearchSpace(parameters=tuple(SPACES["mixed"]))
    for evidence, values in EVIDENCE.items():
        told = f"evidence {evidence!r}"
        runs = _deal(space, values)
        known = any(value is not None and math.isfinite(value) for value in values)
        best = _make(search, _pose(space)).recommend(runs)
        _expect((best is not None) == known, f"{told}: recommended is {best}")
        if best is not None:
            _expect(space.contains(best.config), f"{told}: {best.config} is not in the space")
            _expect(math.isfinite(best.mean), f"{told}: the mean is {best.mean}")
            _expect(best.interval[0] <= best.mean <= best.interval[1], f"{told}: the interval is {best.interval}")


def _check_a_sweep(search: str) -> None:
    if find_proposer(search) == "server":
        return
    space = SearchSpace(parameters=tuple(SPACES["mixed"]))
    usual = space.from_unit([0.5] * len(space))
    for finalists, restarts in ((0, False), (4, True)):
        problem = _pose(space, finalists=finalists, defaults=usual, first=usual, again=usual)
        told = f"a sweep with {finalists} finalists"
        runs = list(_sweep(search, problem, restarts, told))
        for stage, budget in enumerate(BUDGETS, start=1):
            used = sum(run.stage == stage for run in runs)
            _expect(used == budget, f"{told}: stage {stage} used {used} of {budget} runs")
        raced = sum(run.finalist for run in runs)
        _expect(raced == finalists, f"{told}: {raced} raced")
        _expect(_make(search, problem).recommend(runs) is not None, f"{told}: nothing is recommended")


def _sweep(search: str, problem: SearchProblem, restarts: bool, told: str) -> Iterator[Evaluation]:
    """Train with three workers whose runs end in any order, and fail now and then; a restart forgets the searcher."""
    random = np.random.default_rng(1)
    searcher, box = _make(search, problem), problem.space
    done = [_train(1, index, Proposal(config=config), problem) for index, config in enumerate(searcher.plan())]
    stages: tuple[Literal[2, 3], ...] = (2, 3)
    for stage in stages:
        box = searcher.narrow(stage, done, box).space
        used, pending = 0, dict[int, Proposal]()
        while used < problem.budgets[stage - 1] or pending:
            searcher = _make(search, problem) if restarts else searcher
            count = min(3 - len(pending), problem.budgets[stage - 1] - used)
            found = searcher.propose(stage, box, done, list(pending.values()), used, count) if count else []
            _expect(len(found) == count, f"{told}: {len(found)} proposals instead of {count} in stage {stage}")
            pending |= dict(enumerate(found, start=used))
            used += len(found)
            ended = int(random.choice(list(pending)))
            done.append(_train(stage, ended, pending.pop(ended), problem))
            done.sort(key=lambda run: (run.stage, run.index))
    yield from done


def _train(stage: int, index: int, proposal: Proposal, problem: SearchProblem) -> Evaluation:
    failed = index % 5 == 3
    return Evaluation(
        stage=stage,
        index=index,
        config=proposal.config,
        outcome="failed" if failed else "finished",
        value=None if failed else float(-np.sum((problem.space.to_unit(proposal.config) - 0.4) ** 2)),
        finalist=proposal.finalist,
    )


CASES: tuple[Case, ...] = (
    Case("plans exactly stage 1's runs", _check_plan),
    Case("plans the defaults first, then the grid", _check_grid),
    Case("plans what other trainings speak for after the defaults", _check_prior),
    *(Case(f"proposes whatever the evidence: {kind}", _check_proposals(kind)) for kind in SPACES),
    Case("recommends where anything has a value", _check_recommendation),
    Case("uses exactly a sweep's budget, restarted or not", _check_a_sweep),
)
