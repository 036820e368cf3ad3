"""What a plan should make its user look twice at, and how long it will take."""

import math
import re
from collections.abc import Iterator, Sequence

from multistage.domain.runs.metric import guess_goal
from multistage.domain.space.grammar import format_range
from multistage.domain.space.parameters import CategoricalParameter, FloatParameter, Parameter
from multistage.domain.sweep.budget import ADVISED_BUDGET, split_budget
from multistage.domain.sweep.plan import SweepPlan, SweepSettings
from multistage.domain.sweep.sweep_config import read_hyperband
from multistage.options.catalogue import OPTIONS

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


def advise(plan: SweepPlan, workers: int, rows: int | None = None, notes: Sequence[str] = ()) -> tuple[str, ...]:
    """List what users get wrong and the night would not tell, each with its remedy, what matters most first.

    Args:
        plan: The sweep.
        workers: Trainings at once.
        rows: Rows of history that a run logs; None where that is not known.
        notes: What is to be said of the request itself: of what was read otherwise, or changes nothing.
    """
    return tuple(
        dict.fromkeys(
            (
                *_look_at_metric(plan),
                *notes,
                *_look_at_usual_values(plan),
                *filter(None, map(_look_at_parameter, plan.settings.space.parameters)),
                *_look_at_size(plan, workers),
                *_look_at_evidence(plan, workers),
                *_look_at_hyperband(plan, rows),
            )
        )
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
                f"{name} spans a factor of {ratio:.3g} on a linear scale, so its small values are hardly ever tried; "
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
        yield f"{settings.metric} is maximized, and its name says that less is better; --goal minimize reverses it."
    if better == "maximize" and settings.goal == "minimize":
        yield f"{settings.metric} is minimized, and its name says that more is better; --goal maximize reverses it."


def _look_at_usual_values(plan: SweepPlan) -> Iterator[str]:
    settings = plan.settings
    outside = []
    for name, value in settings.baseline.items():
        parameter = settings.space[name]
        if not parameter.contains(value):
            is_choice = isinstance(parameter, CategoricalParameter)
            where = "not one of its choices" if is_choice else f"outside {format_range(parameter)}"
            outside.append(f"{name} {value} ({where})")
    if outside:
        yield f"Usual values lie outside the ranges, so the sweep can miss what works today: {', '.join(outside)}."


def _look_at_size(plan: SweepPlan, workers: int) -> Iterator[str]:
    size, budget = plan.settings.space.size, plan.settings.budget
    if size is not None and size < budget:
        yield f"There are only {size} different configs for {budget} runs; a grid of them all needs {size}."
    most = max(stage.runs for stage in plan.stages)
    if workers > most:
        yield f"{workers} workers are more than the {most} runs of the largest stage; some would never work."


def _look_at_evidence(plan: SweepPlan, workers: int) -> Iterator[str]:
    """Say in one text where runs are few: for three stages, for the parameters, for the grid, for the search."""
    settings, (first, second, _) = plan.settings, plan.stages
    count, needed = len(settings.space), RUNS_A_PARAMETER * len(settings.space)
    reasons, remedies, enough = [], [], 0
    if settings.budget < ADVISED_BUDGET:
        reasons.append(f"{settings.budget} runs are few for three stages")
        enough = ADVISED_BUDGET
    if first.runs < needed and settings.space.size is None:
        parameters = "parameter" if count == 1 else "parameters"
        reasons.append(
            f"stage 1 has {first.runs} for {count} {parameters}, and about {RUNS_A_PARAMETER} each are enough"
        )
        if settings.stage1 == "grid" or (settings.proposer == "server" and first.method == "grid"):
            remedies.append(_widen_grid(settings, needed))
        else:
            enough = max(enough, math.ceil(needed * 100 / settings.split.shares[0]))
    if enough > settings.budget:
        remedies.insert(0, f"raise --budget to {enough}")
    if settings.stage1 == "auto" and not first.grid_points:
        points = settings.space.grid_size(settings.grid_resolution)
        instead = "random configs" if first.method == "random" else "Sobol points"
        room = f"{first.runs} runs" + (f", {first.prior} of them the prior's" if first.prior else "")
        reasons.append(f"the grid of {points} points does not fit stage 1's {room}, which take {instead}")
        remedies += [] if enough else ["lower --grid-resolution"]
    few = second.runs < ROUNDS * workers
    if 1 < workers <= max(stage.runs for stage in plan.stages) and second.method == "gaussian process" and few:
        reasons.append(
            f"{workers} workers leave the search of stage 2 little to learn from between its {second.runs} runs"
        )
        remedies.append(f"lower --workers to {max(1, second.runs // ROUNDS)}")
    if reasons:
        yield _say(reasons, remedies)


def _widen_grid(settings: SweepSettings, needed: int) -> str:
    """Say what gives stage 1 more runs where it trains the grid alone, whose size the budget does not change."""
    room, _, _ = split_budget(settings.budget, settings.split)
    finest: int = OPTIONS["grid_resolution"].bounds["le"]
    for resolution in range(settings.grid_resolution + 1, finest + 1):
        if needed <= settings.space.grid_size(resolution) <= room:
            return f"raise --grid-resolution to {resolution}"
    return "use --stage1 auto" if settings.proposer == "ours" else "raise --budget and --grid-resolution"


def _say(reasons: Sequence[str], remedies: Sequence[str]) -> str:
    *others, last = remedies
    sentences = "; ".join(reasons), ", or ".join(([", ".join(others)] if others else []) + [last])
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


def _look_at_hyperband(plan: SweepPlan, rows: int | None) -> Iterator[str]:
    hyperband = read_hyperband(plan.settings.early_terminate, plan.settings.metric)
    if hyperband is not None and hyperband.bands and rows is not None and rows <= hyperband.bands[0]:
        yield (
            f"Hyperband looks at a run after {hyperband.bands[0]} rows, and a run logs {rows}: it will stop none. Let "
            "runs log more often, or use --early-stop none."
        )
