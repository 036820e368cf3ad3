"""The top of the report: what the best config is, how sure that is, what it cost, what mattered, what failed."""

from collections.abc import Sequence
from statistics import mean

import yaml

from multistage.domain.durations import format_duration
from multistage.domain.runs.results import Config, Value
from multistage.domain.space.parameters import Parameter
from multistage.domain.sweep.state import State
from multistage.report.banner import describe_gain, describe_prior, format_number
from multistage.report.beliefs import Influence
from multistage.report.costs import format_dollars
from multistage.report.data import ReportData
from multistage.report.failures import Failure, explain_failures
from multistage.report.figures.beliefs import describe_share
from multistage.report.figures.style import shorten
from multistage.report.links import build_training_command, link_sweep, name_sweep
from multistage.report.markup import Markup, block, link, render, table
from multistage.report.workload import Workload, measure_run

MOST_SHOWN = 3
"""Parameters and causes that the top names."""


def build_summary(
    data: ReportData, influences: Sequence[Influence], workload: Workload, failures: Sequence[Failure]
) -> Markup:
    """Write the top of the report."""
    tiles = "".join(
        (
            _tile("How sure is that?", *_describe_certainty(data.state)),
            _tile("What did it cost?", *_describe_cost(data, workload)),
            _tile("What mattered?", *_describe_influence(influences)),
            _tile("What failed?", *explain_failures(failures)),
        )
    )
    return Markup(_head(data) + _show_best(data) + f"<div class=tiles>{tiles}</div>\n")


def choose_config(state: State) -> Config | None:
    """Return the config that the sweep stands for, as far as it is: the recommended one, else the best so far."""
    return state.recommended.config if state.recommended else state.best_config


def _head(data: ReportData) -> Markup:
    state = data.state
    because = state.ended_because if state.ended_because not in (None, "budget used") else None
    pages = [
        link("Prefect", state.prefect_url if (state.prefect_url or "").startswith("http") else None),
        *(link(f"sweep of stage {number}", link_sweep(state, sweep)) for number, sweep in _list_sweeps(state)),
    ]
    linked = " · ".join(page for page in pages if isinstance(page, Markup))
    listed = f"<p class=pages>{linked}</p>" if linked else ""
    return Markup(
        f"<header><p class=over>{render(state.name)} <span class='state {state.status}'>{state.status}</span></p>"
        f"<h1>{render(state.config_id)}</h1>"
        f"<p class=lead>{state.goal.capitalize()} <code>{render(state.metric_name)}</code> in {state.budget_used} of "
        f"{state.total_budget} runs{render(f', ended by: {because}' if because else '')}. "
        f"{render(f'Prior: {describe_prior(state)}. ' if state.plan[0].prior else '')}"
        f"Written {data.written_at:%Y-%m-%d %H:%M} UTC.</p>{listed}</header>\n"
    )


def _list_sweeps(state: State) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = [(record.stage, record.sweep_id) for record in state.stages_completed]
    now = state.current_stage
    if now is not None and now.sweep_id is not None and all(now.stage != stage for stage, _ in found):
        found.append((now.stage, now.sweep_id))
    return found


def _show_best(data: ReportData) -> Markup:
    state, config = data.state, choose_config(data.state)
    if config is None:
        why = "No stage is complete yet." if state.status == "running" else "No run has finished with a value."
        return Markup(f"<section class=best id=best><h2>There is no best config</h2><p class=lead>{why}</p></section>")
    title = "The best config" if state.recommended else "The best config so far"
    rows = []
    for name, value in config.items():
        parameter = state.settings.space[name]
        default = state.settings.baseline.get(name)
        cells = [name, Markup(f"<b>{render(shorten(value, 6))}</b>"), _gauge(parameter, value, default)]
        rows.append([*cells, shorten(default)] if data.defaults else cells)
    heads = ["", "value", "within its first range", *(["default"] if data.defaults else [])]
    numbers = (1, 3) if data.defaults else (1,)
    settings = {**state.settings.fixed, **config}
    return Markup(
        f"<section class=best id=best><h2>{title}</h2>{_show_value(state)}"
        f"<div class=pair><div>{table(heads, rows, numbers)}</div><div>"
        f"<h3>Train it again</h3>{block(f'multistage-sweep train {name_sweep(data)}', 'command')}"
        f"<h3>As YAML</h3>{block(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).rstrip(), 'YAML')}"
        f"<details><summary>The training's own command</summary>"
        f"{block(build_training_command(state, config), 'command')}</details></div></div></section>\n"
    )


def _show_value(state: State) -> Markup:
    found = state.recommended
    if found is None:
        return Markup(
            f"<p class=value><b>{format_number(state.best_metric)}</b> <span>the best value seen, "
            f"which is partly luck</span></p>"
        )
    low, high = (format_number(end) for end in found.interval)
    return Markup(
        f"<p class=value><b>{format_number(found.mean)}</b> <span>expected of a run with this config; "
        f"that mean lies from {low} to {high} (95%)</span></p>"
    )


def _gauge(parameter: Parameter, value: Value, default: Value | None) -> Markup:
    """Draw where a value lies in the first range, on the parameter's own scale, and where the default does."""
    ends = [shorten(end, 3) for end in (parameter.bounds[0], parameter.bounds[-1])]
    dots = []
    for kind, one in (("default", default), ("", value)):
        if one is not None and parameter.contains(one):
            dots.append(f'<i class="{kind}" style="left:{100 * parameter.to_unit(one):.1f}%"></i>')
    return Markup(
        f"<div class=gauge title='{render(parameter.describe())}'><small>{render(ends[0])}</small>"
        f"<span>{''.join(dots)}</span><small>{render(ends[1])}</small></div>"
    )


def _tile(title: str, value: str, *lines: str) -> Markup:
    rest = "".join(f"<p>{render(line)}</p>" for line in lines if line)
    return Markup(f"<div class=tile><h3>{title}</h3><p class=figure>{render(value)}</p>{rest}</div>")


def _describe_certainty(state: State) -> list[str]:
    found = state.recommended
    seen = (
        f"Best value seen: {format_number(state.best_metric)}, in stage {state.best_stage}. The best of many noisy "
        "runs is partly luck."
        if state.best_stage
        else ""
    )
    if found is None:
        return ["Not yet" if state.status == "running" else "Not at all", seen or "No run has finished with a value."]
    half = (found.interval[1] - found.interval[0]) / 2
    runs = (
        "one run of this config, which was not trained again,"
        if found.seeds == 1
        else f"{found.seeds} runs of this config"
    )
    lines = [f"± {format_number(float(f'{half:.2g}'))}", f"From {runs} and the model of all others."]
    return [*lines, describe_gain(state) or "", seen]


def _describe_cost(data: ReportData, workload: Workload) -> list[str]:
    state = data.state
    spent = workload.trained + workload.in_vain
    lines = [f"{format_duration(spent)} of training within {format_duration(workload.elapsed)}"] if spent else []
    if workload.seconds:
        parts = [("idle", workload.idle), ("starting", workload.starting), ("in vain", workload.in_vain)]
        told = [f"{seconds / workload.seconds:.0%} {name}" for name, seconds in parts if seconds or name == "idle"]
        lines.append(f"Of the workers' time: {', '.join(told)}.")
    if whole := _count_whole(data, spent):
        lines.append(whole)
    if state.cost is None:
        return [f"{state.budget_used} runs", *lines]
    beside = [f"{format_dollars(state.cost.beside)} more outside the budget."] if state.cost.beside else []
    return [
        format_dollars(state.cost.dollars - state.cost.beside),
        f"{state.budget_used} runs, by {state.cost.rates.source}.",
        *beside,
        *lines,
    ]


def _count_whole(data: ReportData, spent: float) -> str:
    """Say how many runs of full length a sweep has cost that stopped some early; empty where all went on to the end."""
    whole = [measure_run(run) for run in data.runs if run.phase == "finished"]
    if not whole or not sum(whole) or all(run.phase != "stopped" for run in data.runs):
        return ""
    return f"As much as {spent / mean(whole):.0f} runs of full length."


def _describe_influence(influences: Sequence[Influence]) -> list[str]:
    if not influences:
        return ["Too few runs to say"]
    bars = "".join(
        f"<span class='bar{'' if found.matters else ' pale'}'><em>"
        f"{render(found.name)}</em><b>{describe_share(found)}</b>"
        f"<i style='width:{100 * found.share:.0f}%'></i></span>"
        for found in influences[:MOST_SHOWN]
    )
    rest = len(influences) - MOST_SHOWN
    more = f"and {rest} more that matter less" if rest > 0 else ""
    sure = influences[0].matters
    chance = "" if sure else "No more than chance would show in so few runs."
    return [influences[0].name if sure else "Hard to tell", Markup(f"<span class=bars>{bars}</span>"), more, chance]
