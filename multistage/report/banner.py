"""The banner that a finished sweep ends with, as the guide prints it, and the same as Markdown."""

import json
import shlex
from pathlib import Path

from multistage.domain.runs.results import Config
from multistage.domain.sweep.state import State
from multistage.report.costs import describe_cost

WIDTH = 60


def format_number(value: float | None) -> str:
    """Write a metric's value with up to 5 significant digits."""
    return "none" if value is None else f"{value:.5g}"


def format_config(config: Config | None) -> str:
    """Write a config as JSON, its numbers shortened to 6 significant digits."""
    short = {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in (config or {}).items()}
    return json.dumps(short)


def describe_recommendation(state: State) -> str:
    """Say in a line what the recommended config can be expected to reach."""
    found = state.recommended
    if found is None:
        return "none: no run finished with a value"
    low, high = (format_number(end) for end in found.interval)
    seeds = "1 run of it, not trained again" if found.seeds == 1 else f"{found.seeds} runs of it"
    return f"{format_number(found.mean)} expected (95%: {low} to {high}, {seeds})"


def describe_gain(state: State) -> str | None:
    """Say in a line whether a multi-stage sweep has improved on the defaults; None where nothing is recommended."""
    found = state.recommended
    if found is None:
        return None
    if found.probability_better_than_defaults is None:
        if len(state.plan) == 1:
            return None
        trained = any(stage.defaults or stage.finalists for stage in state.plan)
        why = "their runs have no value" if trained else "no run trained them"
        why = why if state.settings.baseline else "--baseline names them"
        return f"Whether it beats the defaults is unknown: {why}."
    likely = found.probability_better_than_defaults
    odds = f"{likely:.0%} likely" if likely < 0.995 else "over 99% likely"
    match found.verdict:
        case "no improvement":
            return "No improvement found: the defaults themselves did best."
        case "unclear":
            return f"No clear improvement: that it beats the defaults is {odds}."
        case "improvement" | "not compared":
            return f"That it beats the defaults is {odds}."


def describe_maximum(state: State) -> str | None:
    """Say what the best value seen is: a maximum over noise; None where there is none."""
    if state.best_metric is None:
        return None
    runs = state.budget_used - sum(stage.runs_failed for stage in state.stages_completed)
    return f"the highest of {runs} single runs" if state.goal == "maximize" else f"the lowest of {runs} single runs"


def describe_prior(state: State) -> str:
    """Say in a line what the sweep was told of other trainings before it began."""
    names = state.settings.prior.replace(",", ", ")
    return f"{names}, for {state.plan[0].prior} of stage 1's {state.plan[0].runs} runs"


def format_banner(state: State, state_file: Path, called: str = "") -> str:
    """Write the guide's closing banner: runs, best metric and its stage, best config, where the state is.

    Args:
        state: The sweep's.
        state_file: Where it is kept.
        called: The sweep as a command takes it; its name by default.
    """
    rule, called = "=" * WIDTH, called or shlex.quote(state.name)
    maximum, gain = describe_maximum(state), describe_gain(state)
    lost = sum(stage.attempts_lost for stage in state.stages_completed)
    failed = sum(stage.runs_failed for stage in state.stages_completed)
    lines = [
        rule,
        "MULTI-STAGE SWEEP COMPLETE!" if len(state.plan) > 1 else "SWEEP COMPLETE!",
        rule,
        f"Total runs: {state.budget_used}" + (f" ({failed} failed)" if failed else ""),
        *([f"Ended early: {_explain_end(state, called)}"] if state.budget_used < state.total_budget else []),
        f"Best metric: {format_number(state.best_metric)}"
        + (f" (Stage {state.best_stage})" if state.best_stage and len(state.plan) > 1 else ""),
        *([f"             {maximum}, partly by luck"] if maximum else []),
        f"Best config: {format_config(state.best_config)}",
        f"Recommended: {format_config(state.recommended.config if state.recommended else None)}",
        f"             {describe_recommendation(state)}",
        *([f"             {gain}"] if gain else []),
        *([f"Prior:       {describe_prior(state)}"] if state.plan[0].prior else []),
        *([f"Lost to the machine and trained again: {lost} runs"] if lost else []),
        *describe_cost(state),
        "",
        f"State saved to: {state_file}",
        rule,
    ]
    return "\n".join(lines)


def _explain_end(state: State, called: str) -> str:
    """Say what ended a sweep before its budget was used, and how to go on where that can be."""
    cut = {stage.cut_short for stage in state.stages_completed} - {None}
    flags = [flag for why, flag in (("deadline", "--stage-deadline"), ("cost cap", "--max-cost")) if why in cut]
    if not flags:
        return str(state.ended_because)
    return f"{state.ended_because}. To continue, run `multistage-sweep resume {called}`; change {' and '.join(flags)}"
