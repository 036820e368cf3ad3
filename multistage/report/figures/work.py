"""What it took: the finalists' seeds, the workers' time, the money."""

from collections.abc import Sequence

import plotly.graph_objects as go

from multistage.report.contenders import Contender
from multistage.report.data import ReportData
from multistage.report.figures.style import (
    ACCENT,
    BAND,
    CARD,
    HOVER,
    INK,
    LINE,
    MUTED,
    PHASE_COLORS,
    STAGE_COLORS,
    cut,
    escape,
    finish,
    pack,
)
from multistage.report.workload import Bill, Expense, Span, Workload

MOST_CONTENDERS = 12
"""Configs whose seeds are shown."""
MOST_STEPS = 600
"""Steps of the cost's curve."""
MOST_NAMED = 3
"""Runs that one bar of the timeline names."""
_ROLE_COLORS = {"recommended": STAGE_COLORS[3], "defaults": INK, "contender": ACCENT}


def name_contenders(contenders: Sequence[Contender]) -> list[str]:
    """Name what the figure and the table show."""
    names, number = [], 0
    for contender in contenders:
        number += contender.role == "contender"
        names.append(contender.role if contender.role != "contender" else f"contender {number}")
    return names


def draw_contenders(data: ReportData, contenders: Sequence[Contender]) -> go.Figure | None:
    """Draw the configs that were trained several times: every seed, the mean and its 95% interval."""
    if not contenders:
        return None
    names = name_contenders(contenders)
    figure = go.Figure()
    for name, one in zip(names, contenders, strict=True):
        color = _ROLE_COLORS[one.role]
        if one.interval is not None:
            figure.add_scatter(
                x=list(one.interval), y=[name, name], mode="lines", line={"color": color, "width": 10}, opacity=0.3,
                hovertemplate="95%: %{x:.5g}<extra></extra>",
            )  # fmt: skip
        figure.add_scatter(
            x=one.values, y=[name] * len(one.values), mode="markers", hovertemplate="one run: %{x:.5g}<extra></extra>",
            marker={"color": CARD, "size": 8, "line": {"color": color, "width": 1.5}},
        )  # fmt: skip
        figure.add_scatter(
            x=[one.mean], y=[name], mode="markers", hovertemplate="mean %{x:.5g}<extra></extra>",
            marker={"color": color, "symbol": "diamond", "size": 11, "line": {"color": CARD, "width": 1}},
        )  # fmt: skip
    ends = [end for contender in contenders for end in (*contender.values, *(contender.interval or ()))]
    margin = 0.04 * (max(ends) - min(ends)) or 0.5
    figure.update_xaxes(range=[min(ends) - margin, max(ends) + margin])
    figure.update_yaxes(
        categoryorder="array", categoryarray=names[::-1], tickfont={"color": INK}, range=[-0.6, len(names) - 0.4]
    )
    return finish(figure, 70 + 34 * len(names), escape(cut(data.state.metric_name, 40)), showlegend=False)


def draw_timeline(data: ReportData, workload: Workload) -> go.Figure | None:
    """Draw who trained what when: what is hatched is idle, colours tell how each run ended."""
    lanes = workload.lanes
    if not lanes:
        return None
    figure = go.Figure()
    names = [f"{number}" for number in range(1, len(lanes) + 1)]
    spans = [(name, span) for name, lane in zip(names, lanes, strict=True) for span in lane.spans]
    figure.add_bar(
        y=names, base=[lane.spans[0].began_at for lane in lanes], orientation="h",
        name="starting or idle", hoverinfo="skip",
        x=[_last(lane.spans) for lane in lanes], width=0.72,
        marker={"color": BAND, "pattern": {"shape": "/", "size": 5, "fgcolor": MUTED, "solidity": 0.25}},
    )  # fmt: skip
    for phase, color in PHASE_COLORS.items():
        bars = [(name, span) for name, span in spans if span.phase == phase]
        if bars:
            figure.add_bar(
                y=[name for name, _ in bars], base=[span.began_at for _, span in bars], orientation="h", name=phase,
                x=[(span.ended_at - span.began_at).total_seconds() * 1000 for _, span in bars], width=0.72,
                marker={"color": color, "line": {"color": CARD, "width": 0.5 if len(spans) < 600 else 0}},
                text=[_describe(span) for _, span in bars], textposition="none", hovertemplate=HOVER,
            )  # fmt: skip
    for record in data.state.stages_completed:
        figure.add_vline(
            x=record.ended_at.timestamp() * 1000, line={"color": LINE, "width": 1, "dash": "dot"},
            annotation={"text": f"stage {record.stage}", "font": {"size": 11, "color": MUTED}, "yref": "paper",
                        "y": 1.0, "xanchor": "right", "yanchor": "bottom", "showarrow": False},
        )  # fmt: skip
    figure.update_xaxes(type="date", hoverformat="%H:%M:%S")
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=names[::-1],
        showgrid=False,
        showticklabels=len(names) <= 30,
    )
    height = 110 + min(28 * len(lanes), 640)
    return finish(figure, height, "", "worker", barmode="overlay", legend={"y": 1.02 + 22 / height, "orientation": "h",
                  "yanchor": "bottom", "font": {"color": INK}}, margin={"l": 8, "r": 8, "t": 58, "b": 8})  # fmt: skip


def _last(spans: Sequence[Span]) -> float:
    return (max(span.ended_at for span in spans) - spans[0].began_at).total_seconds() * 1000


def _describe(span: Span) -> str:
    if len(span.runs) > MOST_NAMED:
        return f"{len(span.runs)} runs {span.phase}, {span.runs[0].name} to {span.runs[-1].name}"
    return "<br>".join(
        f"{run.name} {run.phase}" + (f": {escape(run.error[:120])}" if run.error else "") for run in span.runs
    )


def draw_expenses(expenses: Sequence[Expense], bills: Sequence[Bill]) -> go.Figure | None:
    """Draw what had been spent over the time of day: dollars where containers cost some, else hours of training."""
    if not expenses:
        return None
    step = -(-len(expenses) // MOST_STEPS)
    shown = [*expenses[:-1:step], expenses[-1]]
    priced = shown[-1].dollars is not None
    figure = go.Figure(
        go.Scatter(
            x=[one.at for one in shown], y=pack((one.dollars or 0.0) if priced else one.hours * 60 for one in shown),
            mode="lines", line={"shape": "hv", "color": ACCENT, "width": 2}, fill="tozeroy", fillcolor=BAND,
            name="runs", hovertemplate="$%{y:.4g}<extra></extra>" if priced else "%{y:.4g} min<extra></extra>",
        )
    )  # fmt: skip
    if bills:
        figure.add_scatter(
            x=[bill.at for bill in bills], y=[bill.dollars for bill in bills], mode="lines+markers",
            name="with containers' start and idle time", line={"color": STAGE_COLORS[3], "width": 1.5, "dash": "dot"},
            marker={"size": 8}, hovertemplate="$%{y:.4g} paid<extra></extra>",
        )  # fmt: skip
    if not priced and shown[-1].hours > 2:
        figure.update_traces(y=pack(one.hours for one in shown), hovertemplate="%{y:.4g} h<extra></extra>")
    unit = "dollars" if priced else "hours of training" if shown[-1].hours > 2 else "minutes of training"
    figure.update_xaxes(type="date")
    figure.update_yaxes(rangemode="tozero")
    return finish(figure, 260, "", unit, showlegend=bool(bills))
