"""The report as one self-contained HTML page: no network, nothing to install."""

import shlex
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

import plotly.graph_objects as go
import yaml
from plotly.offline import get_plotlyjs

from multistage.domain.results import Config
from multistage.domain.selection import rank
from multistage.report import figures
from multistage.report.banner import describe_recommendation, format_config, format_number
from multistage.report.data import ReportData, group_failures, list_contenders, measure_influence


def build_report(data: ReportData) -> str:
    """Write a sweep's report.

    Args:
        data: The sweep and its runs; the same data give the same page.

    Returns:
        A whole HTML document.
    """
    state = data.state
    recommended = state.recommended.config if state.recommended else state.best_config
    influences = measure_influence(data)
    center = recommended or (rank(data.valued, state.goal)[0].config if data.valued else None)
    parts = [
        _head(data),
        _section("The best config", _show_best(data, recommended)),
        _section("What the runs reached", _show(figures.draw_history(data), "history", "No run has a value yet.")),
        _section("How the ranges narrowed", _show(figures.draw_funnel(data), "funnel", "No stage is complete yet.")
                 + _list_narrowing(data)),
        _section("What mattered", _show(figures.draw_influences(influences), "influences", "Too few runs to tell.")),
        _section("Along each parameter", _show(figures.draw_slices(data, center), "slices", "No run has a value yet.")),
        _section("The two that matter most", _show(figures.draw_contour(data, center, influences), "contour",
                                                   "It takes two parameters and more runs.")),
        _section("Every config", _show(figures.draw_parallel(data), "parallel", "No run has a value yet.")),
        _section("Contenders on several seeds", _show(figures.draw_contenders(data), "contenders",
                                                      "No config was trained more than once.")
                 + _list_contenders(data)),
        _section("Who trained when", _show(figures.draw_timeline(data), "timeline", "No run's times are known.")),
        _section("Training time", _show(figures.draw_hours(data), "hours", "No run's times are known.")),
        _section("What failed", _list_failures(data)),
    ]  # fmt: skip
    style = files("multistage.report").joinpath("page.css").read_text(encoding="utf-8")
    return (
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
        "<meta name=viewport content='width=device-width, initial-scale=1'>\n<link rel=icon href='data:,'>\n"
        f"<title>{escape(state.name)}</title>\n<style>{style}</style>\n<script>{get_plotlyjs()}</script>\n</head>\n"
        f"<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def _head(data: ReportData) -> str:
    state = data.state
    used = f"{state.budget_used} of {state.total_budget} runs"
    ended = f" ({escape(state.ended_because)})" if state.ended_because else ""
    spent = sum((run.ended_at - run.started_at).total_seconds() for run in data.runs if run.started_at and run.ended_at)
    facts = [
        ("state", f"{state.status}{ended}"),
        ("runs", used),
        ("best value seen", f"{format_number(state.best_metric)}"),
        ("training time", f"{spent / 3600:.2f} h"),
    ]
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in facts)
    return (
        f"<header><h1>{escape(state.config_id)}</h1>"
        f"<p>{escape(state.name)}: {escape(state.goal)} <code>{escape(state.metric_name)}</code>, "
        f"written {data.written_at:%Y-%m-%d %H:%M} UTC</p><dl>{cells}</dl></header>\n"
    )


def _show_best(data: ReportData, config: Config | None) -> str:
    state = data.state
    if config is None:
        return "<p>No run has finished with a value, so there is none.</p>"
    seen = (
        f"<p>Best value seen: <b>{format_number(state.best_metric)}</b> in stage {state.best_stage}, by "
        f"<code>{escape(format_config(state.best_config))}</code>. The best of many noisy runs flatters its config.</p>"
        if state.best_config
        else ""
    )
    told = f"<p>{escape(describe_recommendation(state))}</p>" if state.recommended else ""
    arguments = shlex.join(f"--{name}={value}" for name, value in {**state.settings.fixed, **config}.items())
    return (
        f"<p class=best><code>{escape(format_config(config))}</code></p>{told}{seen}"
        f"<h3>Train it again</h3><pre>{escape(_build_command(data, arguments))}</pre>"
        f"<h3>As YAML</h3><pre>{escape(yaml.safe_dump(dict(config), sort_keys=False))}</pre>"
    )


def _build_command(data: ReportData, arguments: str) -> str:
    settings = data.state.settings
    if settings.program and not settings.command:
        return f"python {shlex.quote(settings.program)} {arguments}"
    kept = [part for part in settings.command if part not in ("${env}", "${args}", "--wandb_sweep")]
    fixed = {"${interpreter}": "python", "${program}": settings.program or ""}
    return " ".join([*(shlex.quote(fixed.get(part, part)) for part in kept), arguments])


def _list_narrowing(data: ReportData) -> str:
    notes = [
        f"<li>After stage {stage.stage}, {escape(note.name)}: {escape(note.evidence)}</li>"
        for stage in data.state.stages_completed
        for note in stage.narrowing
    ]
    return f"<ul>{''.join(notes)}</ul>" if notes else ""


def _list_contenders(data: ReportData) -> str:
    contenders = list_contenders(data)[: figures.MOST_CONTENDERS]
    if not contenders:
        return ""
    rows = [
        [
            f"config {number}",
            format_config(one.config),
            str(len(one.values)),
            f"{format_number(one.mean)} ({format_number(one.interval[0])} to {format_number(one.interval[1])})",
        ]
        for number, one in enumerate(contenders, start=1)
    ]
    return _table(("", "config", "runs", "mean (95%)"), rows)


def _list_failures(data: ReportData) -> str:
    failures = group_failures(data)
    if not failures:
        return "<p>Nothing failed.</p>"
    rows = [
        [str(len(one.run_ids)), one.phase, one.reason, ", ".join(one.run_ids[:5]) + (" ..." if one.run_ids[5:] else "")]
        for one in failures
    ]
    return _table(("runs", "how", "first line of the error", "which"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>\n"


def _show(figure: go.Figure | None, name: str, otherwise: str) -> str:
    if figure is None:
        return f"<p>{escape(otherwise)}</p>"
    html = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"responsive": True, "displaylogo": False, "displayModeBar": False},
    )
    return f"<figure>{html}</figure>"
