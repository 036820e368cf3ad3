"""The report as one self-contained HTML page: no network, nothing to install."""

import json
from html import escape
from importlib.resources import files
from typing import Any

from plotly.io import to_json
from plotly.offline import get_plotlyjs

from multistage.domain.durations import format_duration
from multistage.domain.runs.results import Evaluation
from multistage.domain.runs.slots import SlotName
from multistage.report.banner import format_number
from multistage.report.beliefs import Influence, measure_influence
from multistage.report.contenders import Contender, list_contenders
from multistage.report.data import ReportData
from multistage.report.failures import group_failures, show_failures
from multistage.report.figures import beliefs, search, style, work
from multistage.report.markup import Figures, Markup, code, render, section, table
from multistage.report.summary import build_summary
from multistage.report.workload import (
    Workload,
    arrange_workload,
    list_bills,
    sum_expenses,
)

NETWORK = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
"""What the page may load, by its content security policy: nothing. Plotly compiles its shaders' bindings."""
NONE_YET = "No run has a value yet."


def build_report(data: ReportData) -> str:
    """Write a sweep's report.

    Args:
        data: The sweep and its runs; the same data give the same page.

    Returns:
        A whole HTML document.
    """
    figures = Figures()
    influences = measure_influence(data)
    workload = arrange_workload(data)
    failures = group_failures(data)
    sections = [
        _show_history(data, figures),
        _show_contenders(data, figures),
        _show_ranges(data, figures),
        _show_influences(data, figures, influences),
        _show_configs(data, figures),
        _show_curves(data, figures),
        _show_work(data, figures, workload),
        show_failures(data, failures),
    ]
    summary = build_summary(data, influences, workload, failures)
    room = files("multistage.report")
    looks, script = (room.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return (
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
        f'<meta http-equiv=Content-Security-Policy content="{NETWORK}">\n'
        "<meta name=viewport content='width=device-width, initial-scale=1'>\n"
        "<meta name=color-scheme content='light dark'>\n<link rel=icon href='data:,'>\n"
        f"<title>{escape(data.state.config_id)}: {escape(data.state.name)}</title>\n<style>{looks}</style>\n</head>\n"
        f"<body>\n{_navigate(sections)}<main>\n{summary}{''.join(sections)}</main>\n"
        f"<script type=application/json id=book>{_bind(data, figures)}</script>\n"
        f"<script>{get_plotlyjs()}</script>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _navigate(sections: list[Markup]) -> str:
    names = {"history": "Runs", "contenders": "Finalists", "ranges": "Ranges", "influences": "What mattered",
             "configs": "Configs", "curves": "Curves", "work": "Work", "failures": "Failures"}  # fmt: skip
    links = "".join(f"<a href=#{name}>{text}</a>" for name, text in names.items() if any(sections))
    return f"<nav aria-label=Sections><div><a href=#best>Best</a>{links}</div></nav>\n"


def _bind(data: ReportData, figures: Figures) -> str:
    """Write what the page's script reads: the figures, and once for all of them what each run was and did."""
    used = {
        number
        for figure in figures.drawn.values()
        for trace in figure.data
        if trace.meta == style.RUNS
        for number in trace.customdata
    }
    names = data.state.settings.space.names
    book: dict[str, Any] = {
        "names": [style.escape(name) for name in names],
        "runs": {number: _describe(data.evaluations[number], names) for number in sorted(used)},
        "figures": {name: json.loads(to_json(figure, validate=False)) for name, figure in figures.drawn.items()},
    }
    # A script element ends at the first "</script", wherever that stands.
    return json.dumps(book, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _describe(one: Evaluation, names: tuple[str, ...]) -> list[Any]:
    value = format_number(one.value) if one.outcome != "failed" else "failed"
    values = [style.escape(style.shorten(one.config.get(name, ""), 5)) for name in names]
    return [str(SlotName(stage=one.stage, index=one.index)), value, *values]


def _show_history(data: ReportData, figures: Figures) -> Markup:
    below = search.count_below(data)
    note = (
        f" Arrows at the edge: {below} runs far {'below' if data.state.goal == 'maximize' else 'above'}."
        if below
        else ""
    )
    lead = "Each point is a run, in the order of the search; the line is the best so far."
    plot = figures.show(search.draw_history(data), "history-plot", "The runs' values in order", NONE_YET)
    return section("history", "What the runs reached", lead + note if data.valued else "", plot)


def _show_contenders(data: ReportData, figures: Figures) -> Markup:
    contenders = list_contenders(data)[: work.MOST_CONTENDERS]
    if not contenders:
        return section("contenders", "Finalists on fresh seeds", "",
                       Markup("<p class=none>No contender was trained again. Finalists (--finalists, on by "
                              "itself from 51 runs on) distinguish a good config from a lucky run.</p>"))  # fmt: skip
    lead = (
        "Circles are single runs, diamonds their means, bars the means' 95% intervals, each with a noise between the "
        "config's own and that of all of these. The recommendation also weighs what the model expected beforehand."
    )
    plot = figures.show(work.draw_contenders(data, contenders), "contenders-plot", "Finalists' values and intervals")
    return section("contenders", "Finalists on fresh seeds", lead, plot, _list_contenders(data, contenders))


def _list_contenders(data: ReportData, contenders: list[Contender]) -> Markup:
    names = data.state.settings.space.names
    rows = []
    for name, one in zip(work.name_contenders(contenders), contenders, strict=True):
        interval = (
            f"{format_number(one.interval[0])} to {format_number(one.interval[1])}" if one.interval else "unknown"
        )
        values = [style.shorten(one.config.get(parameter, ""), 5) for parameter in names]
        rows.append([name, str(len(one.values)), format_number(one.mean), interval, *values])
    return table(["", "runs", "mean", "95%", *names], rows, numbers=range(1, 4 + len(names)))


def _show_ranges(data: ReportData, figures: Figures) -> Markup:
    parts = []
    for number, parameter in enumerate(data.state.settings.space.parameters):
        plot = figures.show(search.draw_funnel(data, parameter), f"funnel-{number}", f"Ranges of {parameter.name}")
        notes = "".join(
            f"<li class={'edge' if note.edge != 'none' else 'free'}><b>After stage {record.stage}</b> "
            f"{render(note.evidence)}"
            for record in data.state.stages_completed
            for note in record.narrowing
            if note.name == parameter.name
        )
        parts.append(f"<div class=range><h3>{code(parameter.name)}</h3>{plot}<ul>{notes}</ul></div>")
    lead = (
        "Each stage's range on the parameter's own scale, with the best configs of the stage. A red arrow: they push "
        "against a bound of the first range, so that a wider one might hold better."
    )
    return section("ranges", "How the ranges narrowed", lead, f"<div class=grid>{''.join(parts)}</div>")


def _show_influences(data: ReportData, figures: Figures, influences: list[Influence]) -> Markup:
    few = "Too few runs to say."
    bars = figures.show(beliefs.draw_influences(influences), "influences-plot", "Importance of the parameters", few)
    slices = []
    for number, parameter in enumerate(data.state.settings.space.parameters):
        plot = figures.show(beliefs.draw_slice(data, parameter), f"slice-{number}", f"Values along {parameter.name}")
        if plot:
            slices.append(f"<div><h3>{code(parameter.name)}</h3>{plot}</div>")
    along = (
        f"<h3 class=wideh>Along each parameter</h3><p class=lead>The line is what the model expects with the other "
        f"parameters as in the best config (dotted), the band its 95%.</p><div class=grid>{''.join(slices)}</div>"
        if slices
        else ""
    )
    contour = figures.show(beliefs.draw_contour(data, influences), "contour-plot", "Two together")
    if contour:
        title = "The two that matter most" if influences else "The first two"
        contour = Markup(f"<h3 class=wideh>{title}</h3><p class=lead>What the model expects, the "
                         f"others as in the best config (star).</p>{contour}")  # fmt: skip
    lead = (
        "How much each parameter decides whether a config is among the best quarter of stage 1, which covers the first "
        "ranges evenly (PED-ANOVA). A pale bar is no more than chance shows."
    )
    if any(one.interval for one in influences):
        lead = (
            "How much of what the configs reach each parameter decides by itself, as far as so few runs tell: what the "
            "model of all runs expects, with its 95%. A pale bar is no surer than an even share."
        )
    return section("influences", "What mattered", lead if influences else "", bars, along, contour)


def _show_configs(data: ReportData, figures: Figures) -> Markup:
    plot = figures.show(search.draw_parallel(data), "configs-plot", "Parallel coordinates of every config", NONE_YET)
    lead = "A line is a run; the darkest are the best. Drag along an axis to keep only the lines that pass there."
    width = 90 * (1 + len(data.state.settings.space.names))
    return section("configs", "Every config", lead if plot.startswith("<div") else "",
                   f"<div class=wide><div style='min-width:{width}px'>{plot}</div></div>")  # fmt: skip


def _show_curves(data: ReportData, figures: Figures) -> Markup:
    otherwise = "No run has logged the metric more than once."
    plot = figures.show(search.draw_curves(data), "curves-plot", "Learning curves", otherwise)
    lead = f"The metric over {len(data.curves)} leading runs, thinned to what can be seen." if data.curves else ""
    return section("curves", "Learning curves", lead, plot)


def _show_work(data: ReportData, figures: Figures, workload: Workload) -> Markup:
    unknown = "No run's times are known."
    timeline = figures.show(work.draw_timeline(data, workload), "timeline-plot", "Who trained what when", unknown)
    if not workload.lanes:
        return section("work", "Who trained when", "", timeline)
    expenses = work.draw_expenses(sum_expenses(data), list_bills(data))
    parts = [("trained", workload.trained), ("failed or lost", workload.in_vain), ("starting", workload.starting),
             ("idle", workload.idle)]  # fmt: skip
    shares = ", ".join(f"{name} {seconds / max(workload.seconds, 1e-9):.0%}" for name, seconds in parts)
    lead = (
        f"{len(workload.lanes)} workers at once, {format_duration(workload.seconds)} of their time: {shares}. "
        "Hatched: starting or idle."
    )
    cost = "Cost over time" if data.state.cost else "Training time"
    return section("work", "Who trained when", f"{lead} Times are UTC.", timeline, f"<h3 class=wideh>{cost}</h3>",
                   figures.show(expenses, "expenses-plot", cost))  # fmt: skip
