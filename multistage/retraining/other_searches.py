"""Three stages against one: a sweep beside single-stage searches with its budget, its training and its seeds.

The best value seen is a maximum over noise, and higher the more a method dwells on few configs. So each method's winner
is trained again, on the same fresh seeds for all and outside all budgets: those means are what is compared.
"""

from collections.abc import Callable, Sequence

import numpy as np

from multistage.domain.runs.comparison import Comparison, Method, MethodResult, average, measure_gain
from multistage.domain.runs.results import Config
from multistage.domain.runs.selection import rank
from multistage.domain.runs.slots import Slot, Slots
from multistage.domain.sweep.plan import OWN_SEARCH, StagePlan, derive_seed
from multistage.driver.session import Session
from multistage.errors import UsageError
from multistage.report.best_config import select_best
from multistage.request.resume_line import write_resume
from multistage.retraining.replication import (
    GivenConfigs,
    SideSweep,
    find_seed_parameter,
    plan_beside,
    replicate,
    takes_configs,
)
from multistage.search.base import Searcher, SearchProblem
from multistage.search.registry import create_searcher

FRESH = 9
"""Stage number from which fresh seeds are drawn: no stage of a sweep has it."""


def compare_methods(session: Session, count: int, report: Callable[[str], None]) -> Comparison:
    """Run what is missing of a comparison: two single-stage searches, and each winner again on fresh seeds.

    Args:
        session: The multi-stage sweep, its lock held.
        count: Fresh seeds.
        report: Told how far it is, in a line.

    Raises:
        UsageError: The sweep is not complete.
        SweepFailedError: A search or a winner failed.
    """
    state = session.state
    if session.settings.definition is not None:
        raise UsageError(f"The sweep {state.name} has only one stage.", "Compare one of three stages.")
    if state.status != "completed":
        raise UsageError(
            f"The sweep {state.name} is {state.status}, not completed.",
            f"Finish it first: {write_resume(session.folder)}",
        )
    seeds = [derive_seed(session.settings, FRESH, index) for index in range(count)]
    dollars: list[float | None] = []
    found: list[tuple[Method, str, int, float | None, Config, str | None]] = []
    singles: tuple[tuple[Method, Callable[[Session], SideSweep]], ...] = (
        ("random", open_random),
        ("bayes", open_bayes),
    )
    for method, open_sweep in singles:
        sweep = open_sweep(session)
        slots = sweep.train(lambda slots, method=method: report(_describe(method, slots, state.budget_used)))  # type: ignore[misc]
        dollars.append(sweep.dollars)
        evaluations = slots.list_evaluations()
        ranked = rank(evaluations, state.goal)
        if not ranked:
            raise UsageError(f"No run of the {method} search has a finite value.", f"Look at {sweep.url}.")
        engine = "this project's" if takes_configs(session) else "W&B's engine"
        found.append((method, f"one stage, {engine}", len(evaluations), ranked[0].value, ranked[0].config, sweep.url))
    staged = "three stages" if session.settings.proposer == "ours" else "three stages, W&B's engine"
    found.append(("multi-stage", staged, state.budget_used, state.best_metric, select_best(state), None))
    values: dict[Method, list[float | None]] = {}
    for method, _, _, _, config, _ in found:
        again = replicate(session, f"comparison, {method} again", config, seeds)
        slots = again.train(lambda slots, method=method: report(_describe(f"{method} again", slots, count)))  # type: ignore[misc]
        dollars.append(again.dollars)
        values[method] = [_read_value(slots[index]) for index in sorted(slots)]
    results = [
        MethodResult(
            method=method, search=search, runs=runs, best=best, config=config, url=url, values=tuple(values[method]),
            mean=average([value for value in values[method] if value is not None]),
            gain=None if method == "multi-stage" else measure_gain(values["multi-stage"], values[method], state.goal),
        )
        for method, search, runs, best, config, url in found
    ]  # fmt: skip
    return Comparison(
        name=state.name, metric=state.metric_name, goal=state.goal, budget=state.total_budget, seeds=tuple(seeds),
        results=tuple(results), dollars=_add(dollars),
    )  # fmt: skip


def open_random(session: Session) -> SideSweep:
    """Open a sweep of random configs, each parameter uniform on its own scale."""
    runs, settings = session.state.budget_used, session.settings
    random = np.random.default_rng(settings.seed)
    configs = [settings.space.from_unit(random.random(len(settings.space))) for _ in range(runs)]
    return _open(session, "random", StagePlan(stage=1, runs=runs, method="sobol"), GivenConfigs(settings, configs))


def open_bayes(session: Session) -> SideSweep:
    """Open a sweep that the Gaussian process searches in one stage, over the whole space."""
    runs, settings = session.state.budget_used, session.settings
    problem = SearchProblem(space=settings.space, goal=settings.goal, budgets=(0, runs, 0), seed=settings.seed)
    search = create_searcher(OWN_SEARCH, problem)
    return _open(session, "bayes", StagePlan(stage=2, runs=runs, method="gaussian process"), search)


def _open(session: Session, title: str, stage: StagePlan, search: Searcher) -> SideSweep:
    if not takes_configs(session):
        method = "random" if title == "random" else "bayes"
        stage = StagePlan(stage=1, runs=stage.runs, method=method)
    settings = plan_beside(session)
    if takes_configs(session):
        settings = settings.model_copy(update={"seed_parameter": find_seed_parameter(session)})
    return SideSweep(session, f"comparison, {title}", settings, stage, search)


def _describe(what: str, slots: Slots, runs: int) -> str:
    return f"{what}: {sum(slot.status == 'used' for slot in slots.values())} of {runs} runs"


def _add(dollars: Sequence[float | None]) -> float | None:
    return None if None in dollars else sum(dollar for dollar in dollars if dollar is not None)


def _read_value(slot: Slot) -> float | None:
    value = slot.decisive.value if slot.outcome == "finished" else None
    return value if value is not None and np.isfinite(value) else None
