"""What the Prefect UI shows of a sweep: its plan, each stage and the result, as Markdown and tables.

Names and texts of runs are escaped: Prefect renders HTML that stands in Markdown.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from multistage.domain.durations import format_duration
from multistage.domain.runs.results import Config, Evaluation, Value
from multistage.domain.space.narrowing import ParameterNarrowing
from multistage.domain.sweep.state import StageProgress, StageRecord, State, TopConfig
from multistage.report.banner import describe_gain, describe_recommendation, format_config, format_number
from multistage.report.costs import describe_cost
from multistage.report.links import link_page, link_run, link_sweep, name_folder
from multistage.report.plan import describe_search

BEST = 10
"""Configs in the table of the best so far."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~])")


def name_artifact(state: State, *parts: str) -> str:
    """Return an artifact's key: what Prefect allows of the sweep's name, and which artifact of it."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join([state.name.lower(), *parts]).lower()).strip("-")


def name_tags(state: State) -> list[str]:
    """Name what a sweep's runs in Prefect are found by."""
    search = "W&B's search" if state.settings.proposer == "server" else state.plan[-1].method
    return [state.config_id, f"sweep: {state.name}", f"on: {state.options.launcher}", f"search: {search}"]


def describe_artifact(state: State, what: str) -> str:
    """Describe an artifact in a line, as Markdown, with a link to the sweep's page.

    Args:
        state: The sweep.
        what: What the artifact shows.
    """
    page = link_page(state)
    return f"{_text(what)}." + (f" [The sweep's page]({page})" if page else "")


def describe_plan(state: State, folder: Path, warnings: Sequence[str] = ()) -> str:
    """Write what a sweep is going to do, as Markdown.

    Args:
        state: The sweep.
        folder: Where it lies.
        warnings: What its user should double-check.
    """
    settings = state.settings
    ranges = [
        [_text(parameter.describe()), _value(settings.baseline.get(parameter.name))]
        for parameter in settings.space.parameters
    ]
    stages = [
        [
            str(stage.stage),
            str(stage.runs),
            describe_search(stage, settings.prior),
        ]
        for stage in state.plan
    ]
    advice = "".join(f"- {_text(warning)}\n" for warning in warnings)
    fixed = f"\n\nEvery run with {_code(settings.fixed)}." if settings.fixed else ""
    return (
        f"# {_text(state.config_id)}: the plan\n\n"
        f"{settings.goal.capitalize()} {_name(settings.metric)} in **{settings.budget} runs**, "
        f"{state.options.workers} at once.{fixed}\n\n"
        f"{_table(['range', 'the default'], ranges)}\n{_table(['stage', 'runs', 'search'], stages)}\n"
        + (f"**Double-check:**\n\n{advice}\n" if advice else "")
        + f"{_list_links(state, folder)}"
    )


def describe_stage(state: State, record: StageRecord, folder: Path) -> str:
    """Write what a stage found, and how it narrowed the ranges, as Markdown."""
    seconds = (record.ended_at - record.started_at).total_seconds()
    lost = f", {record.attempts_lost} lost to the machine and trained again" if record.attempts_lost else ""
    found = (
        f"Best value of {_name(state.metric_name)}: **{format_number(record.best_metric)}** by "
        f"{_run(state, record.best_run)}, with {_code(record.best_config)}."
        if record.best_config
        else "No run has finished with a value."
    )
    narrowed = f"## The next ranges\n\n{_tabulate(record.narrowing)}\n" if record.narrowing else ""
    evidence = "".join(f"- {_text(note.evidence)}\n" for note in record.narrowing)
    return (
        f"# Stage {record.stage}: {record.method}\n\n{found}\n\n"
        f"{record.runs_completed} runs in {format_duration(seconds)}, {record.runs_failed} failed{lost}.\n\n"
        f"{narrowed}{evidence}\n{_list_links(state, folder, record)}"
    )


def list_top_configs(state: State, record: StageRecord) -> list[dict[str, Value]]:
    """List a stage's best configs, for a table."""
    return [_row(state, place, one) for place, one in enumerate(record.top_configs, start=1)]


def list_best(state: State, running: Sequence[Evaluation] = ()) -> list[dict[str, Value]]:
    """List the best configs of all stages so far, for a table.

    Args:
        state: The sweep.
        running: What the runs of the stage that is under way have reached.
    """
    tops: list[tuple[int, TopConfig]] = [
        (record.stage, config) for record in state.stages_completed for config in record.top_configs
    ]
    tops += [
        (one.stage, TopConfig(config=one.config, value=one.value, run_id=one.run_id))
        for one in running
        if one.value is not None and one.stage not in {stage for stage, _ in tops}
    ]
    tops.sort(key=lambda one: one[1].value, reverse=state.goal == "maximize")
    rows = enumerate(tops[:BEST], start=1)
    return [{"place": place, "stage": stage} | _row(state, place, one) for place, (stage, one) in rows]


def _row(state: State, place: int, one: TopConfig) -> dict[str, Value]:
    return {
        "place": place,
        state.metric_name: float(f"{one.value:.6g}"),
        **{name: one.config.get(name, "") for name in state.settings.space.names},
        "run": one.run_id,
    }


def describe_standing(state: State) -> str:
    """Say how far a sweep is, in a line."""
    parts = [f"{state.budget_used} of {state.total_budget} runs"]
    if state.current_stage is not None:
        parts.append(f"in stage {state.current_stage.stage} of {len(state.plan)}")
    return describe_artifact(state, ", ".join(parts))


def describe_progress(now: StageProgress) -> str:
    """Say where a stage stands, in a line."""
    parts = [f"{now.used} of {now.runs} runs", f"{now.running} running"]
    if now.failed:
        parts.append(f"{now.failed} failed")
    if now.attempts_lost:
        parts.append(f"{now.attempts_lost} lost and trained again")
    if now.best_metric is not None:
        parts.append(f"best {format_number(now.best_metric)}")
    return f"Stage {now.stage}: {', '.join(parts)}"


def describe_result(state: State, folder: Path) -> str:
    """Write a sweep's result, as Markdown."""
    rows = [
        [
            str(one.stage), one.method, str(one.runs_completed), str(one.runs_failed), format_number(one.best_metric),
            _code(one.best_config) if one.best_config else "",
        ]
        for one in state.stages_completed
    ]  # fmt: skip
    recommended = state.recommended
    gain = describe_gain(state)
    told = (
        f"**Recommended:** {_code(recommended.config)}, {describe_recommendation(state)}"
        f".{f' {gain}' if gain else ''}\n\nTrain it again: `multistage-sweep train {name_folder(state, folder)}`"
        if recommended
        else "Nothing is recommended: no run finished with a value."
    )
    early = f" Ended early: {_text(state.ended_because or '')}." if state.budget_used < state.total_budget else ""
    cost = "".join(f"{_text(line)}\n\n" for line in describe_cost(state))
    return (
        f"# {_text(state.config_id)}: {format_number(state.best_metric)}\n\n{told}\n\n"
        f"Best value of {_name(state.metric_name)} seen: {format_number(state.best_metric)}"
        + (f", in stage {state.best_stage}" if state.best_stage else "")
        + f", in {state.budget_used} of {state.total_budget} runs. The best of many noisy runs is partly luck."
        + f"{early}\n\n{cost}{_table(['stage', 'search', 'runs', 'failed', 'best', 'config'], rows)}\n"
        f"{_list_links(state, folder)}"
    )


def _tabulate(notes: Sequence[ParameterNarrowing]) -> str:
    edges = {"none": "", "low": "the lower bound", "high": "the upper bound", "both": "both bounds"}
    rows = [
        [
            _name(note.name), _span(note.before), _span(note.after), edges[note.edge],
            "" if note.importance is None else f"{note.importance:.0%}",
        ]
        for note in notes
    ]  # fmt: skip
    heads = ["parameter", "this stage", "next stage", "the best lie at", "importance"]
    filled = [column for column in zip(heads, *rows, strict=True) if any(column[1:])]
    return _table([head for head, *_ in filled], list(zip(*(cells for _, *cells in filled), strict=True)))


def _span(bounds: Sequence[Value]) -> str:
    numeric = len(bounds) == 2 and all(isinstance(end, int | float) and not isinstance(end, bool) for end in bounds)
    return f"{_value(bounds[0])} to {_value(bounds[1])}" if numeric else ", ".join(map(_value, bounds))


def _list_links(state: State, folder: Path, record: StageRecord | None = None) -> str:
    stages = [record] if record else state.stages_completed
    pages = [("The sweep's page", link_page(state))]
    pages += [(f"Stage {stage.stage} in the tracker", link_sweep(state, stage.sweep_id)) for stage in stages]
    lines = [f"- [{text}]({url})\n" for text, url in pages if url]
    return "".join([*lines, f"- Report: `{str(folder / 'report.html').replace('`', '')}`\n"])


def _run(state: State, run_id: str | None) -> str:
    url = link_run(state, run_id) if run_id else None
    return f"[{_text(run_id or '')}]({url})" if url else f"run {_text(run_id or '')}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _name(text: str) -> str:
    return f"**{_text(text)}**"


def _value(value: Value | None) -> str:
    return "" if value is None else _text(f"{value:.5g}" if isinstance(value, float) else str(value))


def _code(config: Config | None) -> str:
    return f"`{format_config(config).replace('`', chr(39)).replace('|', '¦')}`"
