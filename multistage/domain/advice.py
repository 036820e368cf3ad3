"""What a plan should make its user look twice at, and how long it will take."""

import math
import re
from collections.abc import Iterator

from multistage.domain.budget import check_budget
from multistage.domain.grammar import format_range
from multistage.domain.metric import guess_goal
from multistage.domain.parameters import CategoricalParameter, FloatParameter, Parameter
from multistage.domain.plan import SweepPlan
from multistage.domain.sweep_config import read_hyperband

RUNS_A_PARAMETER = 10
"""Runs of stage 1 for each parameter that a first look needs (Loeppky, Sacks and Welch, 2009, for such models)."""
WIDE = 100.0
"""Ratio of two bounds from which on a linear scale hardly sees the lower orders of magnitude."""
ROUNDS = 3
"""So many times in a row each worker should have a config of the search; below that most are proposed blindly."""

_LEARNING_RATE = re.compile(r"(^|[_./-])(lr|learning_rate)([_./-]|$)", re.IGNORECASE)
_COUNT = re.compile(
    r"(^|[_./-])(n|num|layers?|units?|steps?|size|width|depth|heads?|epochs?|dim)([_./-]|$)", re.IGNORECASE
)


def advise(plan: SweepPlan, workers: int, rows: int | None = None) -> tuple[str, ...]:
    """List what users get wrong and the night would not tell, each with its remedy.

    Args:
        plan: The sweep.
        workers: Trainings at once.
        rows: Rows of history that a run logs; None where that is not known.
    """
    budget = check_budget(plan.settings.budget)
    return (
        *([budget] if budget else []),
        *filter(None, map(_look_at_parameter, plan.settings.space.parameters)),
        *_look_at_metric(plan),
        *_look_at_budget(plan, workers),
        *_look_at_hyperband(plan, rows),
    )


def estimate_seconds(plan: SweepPlan, workers: int, run_seconds: float) -> float:
    """Estimate how long a sweep takes: each stage in rounds of as many runs as there are workers.

    Args:
        plan: The sweep.
        workers: Trainings at once.
        run_seconds: Length of one run.
    """
    return sum(math.ceil(stage.runs / workers) * run_seconds for stage in plan.stages)


def _look_at_parameter(parameter: Parameter) -> str | None:
    if not isinstance(parameter, FloatParameter):
        return None
    name, bounds = parameter.name, format_range(parameter)
    if parameter.scale == "linear" and parameter.step is None:
        ratio = parameter.high / parameter.low if parameter.low > 0 else math.inf
        if _LEARNING_RATE.search(name) and ratio >= 10 and parameter.high > 0:
            remedy = f"write {name}:log:{bounds}" if parameter.low > 0 else f"give {name}:log a minimum above 0"
            return (
                f"{name} looks like a learning rate, and on a linear scale nine of ten values lie above a tenth of its "
                f"maximum; {remedy}."
            )
        if WIDE <= ratio < math.inf:
            return (
                f"{name} spans a factor of {ratio:.3g} on a linear scale, so its small values are hardly tried; "
                f"write {name}:log:{bounds}."
            )
    whole = parameter.low.is_integer() and parameter.high.is_integer() and parameter.high > 1
    if whole and parameter.step is None and _COUNT.search(name):
        low, high = int(parameter.low), int(parameter.high)
        some = (low + high) / 2 + 0.25
        return f"{name} will be real numbers such as {some:g}; write {name}:int:{low}-{high} for whole ones."
    return None


def _look_at_metric(plan: SweepPlan) -> Iterator[str]:
    settings = plan.settings
    better = guess_goal(settings.metric)
    if better == "minimize" and settings.goal == "maximize":
        yield f"{settings.metric} is maximized, and its name says that less is better; --goal minimize turns it round."
    if better == "maximize" and settings.goal == "minimize":
        yield f"{settings.metric} is minimized, and its name says that more is better; --goal maximize turns it round."
    for name, value in settings.baseline.items():
        parameter = settings.space[name]
        if not parameter.contains(value):
            usual = f"The usual value {value} of {name}"
            if isinstance(parameter, CategoricalParameter):
                yield f"{usual} is none of its choices, so the sweep can miss what works today."
            else:
                yield f"{usual} lies outside {format_range(parameter)}, so the sweep can miss what works today."


def _look_at_budget(plan: SweepPlan, workers: int) -> Iterator[str]:
    settings, (first, second, _) = plan.settings, plan.stages
    count = len(settings.space)
    points = settings.space.grid_size(settings.grid_resolution)
    if settings.stage1 == "auto" and not first.grid_points:
        instead = "random configs" if first.method == "random" else "Sobol points"
        yield (
            f"The grid of {points} points does not fit the {first.runs} runs of stage 1, which takes {instead} "
            "instead; a lower --grid-resolution or a larger --budget makes it fit."
        )
    needed = RUNS_A_PARAMETER * count
    if first.runs < needed and settings.space.size is None:
        budget = math.ceil(needed * 100 / settings.split.shares[0])
        yield (
            f"Stage 1 has {first.runs} runs for {count} parameters, and some {RUNS_A_PARAMETER} each are a good first "
            f"look: sweep fewer, or raise --budget to {budget}."
        )
    size = settings.space.size
    if size is not None and size < settings.budget:
        yield f"There are only {size} different configs for {settings.budget} runs; a grid of them all needs {size}."
    most = max(stage.runs for stage in plan.stages)
    if workers > most:
        yield f"{workers} workers are more than the {most} runs of the largest stage; some would never work."
    elif workers > 1 and second.method == "gaussian process" and second.runs < ROUNDS * workers:
        yield (
            f"{workers} workers for the {second.runs} runs of stage 2 leave the search little to learn from between "
            f"its proposals; {max(1, second.runs // ROUNDS)} or fewer use it better."
        )


def _look_at_hyperband(plan: SweepPlan, rows: int | None) -> Iterator[str]:
    hyperband = read_hyperband(plan.settings.early_terminate, plan.settings.metric)
    if hyperband is not None and hyperband.bands and rows is not None and rows <= hyperband.bands[0]:
        yield (
            f"Hyperband looks at a run after {hyperband.bands[0]} rows, and a run logs {rows}: it will stop none. Let "
            "runs log more often, or use --early-stop none."
        )
