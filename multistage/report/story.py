"""What a sweep's log tells while it runs, in sentences: on the terminal, and on the pages of its Prefect flow runs."""

from multistage.domain.runs.slots import RunRecord, Slot
from multistage.domain.sweep.state import StageProgress, StageRecord, State
from multistage.report.banner import (
    describe_gain,
    describe_prior,
    describe_recommendation,
    format_config,
    format_number,
)
from multistage.report.links import link_page


def describe_start(state: State) -> str:
    """Say what a sweep is that begins, or goes on."""
    settings, begun = state.settings, bool(state.budget_used or state.current_stage)
    stages = f"{len(state.plan)} stages" if len(state.plan) > 1 else "one stage"
    where = link_page(state)
    return (
        f"{'Resuming' if begun else 'Beginning'} the sweep {state.name}: {state.config_id}, "
        f"{f'{state.budget_used} of ' if begun else ''}{state.total_budget} runs in {stages}, "
        f"{state.options.workers} at once, to {settings.goal} {settings.metric}."
        + (f" Prior: {describe_prior(state)}." if state.plan[0].prior else "")
        + (f" {where}" if where else "")
    )


def describe_stage_start(state: State, now: StageProgress) -> str:
    """Say what a stage is that begins, or goes on."""
    plan = state.plan[now.stage - 1]
    runs = f"{now.used} of {plan.runs}" if now.used else str(plan.runs)
    where = f" {now.sweep_url}" if now.sweep_url else ""
    goes_on = " goes on" if now.used else ""
    known = f", {plan.prior} by the prior ({state.settings.prior.replace(',', ', ')})" if plan.prior else ""
    return f"Stage {now.stage} of {len(state.plan)}{goes_on}: {runs} runs, {plan.method}{known}.{where}"


def describe_stage_end(record: StageRecord) -> str:
    """Say what a stage found."""
    details = [f"{record.runs_failed} failed"] if record.runs_failed else []
    details += [f"{record.attempts_lost} lost and trained again"] if record.attempts_lost else []
    details += [f"ended by the {record.cut_short}"] if record.cut_short else []
    return (
        f"Stage {record.stage} done: {record.runs_completed} runs"
        + (f" ({', '.join(details)})" if details else "")
        + f", best {format_number(record.best_metric)} with {format_config(record.best_config)}"
    )


def describe_new_best(state: State, value: float, run: RunRecord) -> str:
    """Say which run is the best so far."""
    return (
        f"Best so far: {format_number(value)} by run {run.run_id} with {format_config(run.config)}, "
        f"after {state.budget_used} of {state.total_budget} runs"
    )


def describe_loss(slot: Slot, run: RunRecord) -> str:
    """Say that the machine lost a run, and what becomes of its config."""
    then = "it was tried often enough and counts as failed" if slot.status == "used" else "its config is trained again"
    then = "another run of it counts" if slot.status == "used" and slot.outcome != "failed" else then
    return f"Run {run.run_id} ({run.name}) was lost to the machine; {then}"


def describe_failure(run: RunRecord) -> str:
    """Say why a run failed by its config's fault."""
    return f"Run {run.run_id} ({run.name}) failed with {format_config(run.config)}: {run.error or 'see its log'}"


def describe_end(state: State) -> str:
    """Say what a sweep that is done recommends."""
    if state.recommended is None:
        return f"The sweep {state.name} is done: {state.budget_used} runs, and none finished with a value"
    gain = describe_gain(state)
    return (
        f"The sweep {state.name} is done: {state.budget_used} runs. Recommended: "
        f"{format_config(state.recommended.config)}, {describe_recommendation(state)}." + (f" {gain}" if gain else "")
    )
