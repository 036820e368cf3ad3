"""What was tried and what came of it: the history, the ranges, every config, the leaders' curves."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go

from multistage.domain.runs.results import Value
from multistage.domain.space.parameters import CategoricalParameter, Parameter
from multistage.domain.sweep.state import StageRecord
from multistage.report.data import ReportData, value_of
from multistage.report.figures.style import (
    BAD,
    CARD,
    HOVER,
    INK,
    LINE,
    MUTED,
    RUNS,
    SCALE,
    STAGE_COLORS,
    build_axis,
    choose_ticks,
    clip,
    cut,
    escape,
    find_floor,
    finish,
    mark,
    pack,
    place_all,
    shorten,
    thin,
)

MOST_LINES = 800
"""Configs of the parallel coordinates."""


def draw_history(data: ReportData) -> go.Figure | None:
    """Draw each run's value in the order of the slots, and the best so far."""
    if not data.valued:
        return None
    goal = data.state.goal
    numbers = {one.run_id: number for number, one in enumerate(data.evaluations, start=1)}
    floor = find_floor([value_of(one) for one in data.valued], goal)
    figure = go.Figure()
    for stage, color in STAGE_COLORS.items():
        points = thin(data, [one for one in data.valued if one.stage == stage])
        if not points:
            continue
        values = [value_of(point) for point in points]
        symbols = mark(values, floor, goal)
        figure.add_scatter(
            x=pack(numbers[point.run_id] for point in points), y=pack(clip(values, floor, goal)), mode="markers",
            name=f"stage {stage}", meta=RUNS, customdata=[numbers[point.run_id] - 1 for point in points],
            hovertemplate=HOVER, marker={
                "color": color, "size": [10 if point.finalist else 7 for point in points],
                "symbol": ["star" if one.finalist else symbol for one, symbol in zip(points, symbols, strict=True)],
                "line": {"width": 0.6, "color": CARD},
            },
        )  # fmt: skip
    best = max if goal == "maximize" else min
    leading = sorted(data.leaders, key=lambda one: numbers[one.run_id])
    if leading:
        bests = list(accumulate((value_of(one) for one in leading), best))
        steps = [(numbers[one.run_id], value) for one, value in zip(leading, bests, strict=True)]
        kept = [
            step for step, before in zip(steps, [None, *steps], strict=False) if before is None or step[1] != before[1]
        ]
        kept.append((len(data.evaluations), bests[-1]))
        figure.add_scatter(
            x=pack(number for number, _ in kept), y=pack(clip((value for _, value in kept), floor, goal)),
            mode="lines", line={"shape": "hv", "color": INK, "width": 1.5}, name="best so far",
            hovertemplate="best so far: %{y:.5g}<extra></extra>",
        )  # fmt: skip
    failed = [numbers[evaluation.run_id] for evaluation in data.evaluations if evaluation.outcome == "failed"]
    if failed:
        figure.add_scatter(
            x=pack(failed), y=pack([floor] * len(failed)), mode="markers", name="failed", meta=RUNS,
            customdata=[number - 1 for number in failed], hovertemplate=HOVER,
            marker={"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": BAD}},
        )  # fmt: skip
    return finish(figure, 400, "run", escape(cut(data.state.metric_name, 40)))


def count_below(data: ReportData) -> int:
    """Count the runs whose value is so poor that the history draws them at its edge."""
    values = [value_of(one) for one in data.valued]
    if not values:
        return 0
    floor = find_floor(values, data.state.goal)
    return sum(symbol != "circle" for symbol in mark(values, floor, data.state.goal))


def draw_funnel(data: ReportData, parameter: Parameter) -> go.Figure:
    """Draw one parameter's range in each stage on its own scale, the edges that the leaders push against, and them."""
    figure = go.Figure()
    done: dict[int, StageRecord] = {record.stage: record for record in data.state.stages_completed}
    bounds = _list_bounds(data, parameter)
    for stage, values in bounds.items():
        color, row = STAGE_COLORS[stage], f"stage {stage}"
        choices = isinstance(parameter, CategoricalParameter)
        figure.add_scatter(
            x=place_all(parameter, values), y=[row] * len(values), mode="markers" if choices else "lines+markers",
            line={"width": 14, "color": color}, opacity=0.4, hovertemplate="%{x}<extra></extra>",
            marker={"size": 22 if choices else 14, "color": color, "symbol": "square" if choices else "line-ns"},
        )  # fmt: skip
        record = done.get(stage)
        if record is None:
            continue
        tops = [config for config in record.top_configs if parameter.name in config.config]
        figure.add_scatter(
            x=place_all(parameter, (top.config[parameter.name] for top in tops)), y=[row] * len(tops), mode="markers",
            marker={"color": color, "size": 8, "line": {"width": 1, "color": CARD}},
            hovertemplate="one of the best: %{x}<extra></extra>",
        )  # fmt: skip
        for at, symbol in _find_edges(record, parameter):
            figure.add_scatter(
                x=place_all(parameter, [at]), y=[row], mode="markers",
                marker={"symbol": symbol, "size": 13, "color": BAD, "line": {"width": 1, "color": CARD}},
                hovertemplate="The best configs lie at this bound<extra></extra>",
            )  # fmt: skip
    figure.update_xaxes(**build_axis(parameter))
    figure.update_yaxes(categoryorder="array", categoryarray=[f"stage {stage}" for stage in reversed(bounds)],
                        showgrid=False, range=[-0.6, len(bounds) - 0.4])  # fmt: skip
    return finish(figure, 56 + 34 * len(bounds), showlegend=False)


def _list_bounds(data: ReportData, parameter: Parameter) -> Mapping[int, list[Value]]:
    """List the bounds or choices of every stage that has begun, and of the next."""
    found: dict[int, list[Value]] = {1: parameter.bounds}
    for record in data.state.stages_completed:
        found[record.stage] = record.bounds[parameter.name]
        if record.next_space is not None:
            found.setdefault(record.stage + 1, record.next_space[parameter.name].bounds)
    return dict(sorted(found.items()))


def _find_edges(record: StageRecord, parameter: Parameter) -> list[tuple[Value, str]]:
    edge = next((note.edge for note in record.narrowing if note.name == parameter.name), "none")
    low, high = parameter.bounds[0], parameter.bounds[-1]
    edges: list[tuple[Value, str]] = []
    if edge in ("low", "both"):
        edges.append((low, "triangle-left"))
    if edge in ("high", "both"):
        edges.append((high, "triangle-right"))
    return edges


def draw_parallel(data: ReportData) -> go.Figure | None:
    """Draw every run's config as one line, coloured by its rank; the best lie on top."""
    shown = thin(data, data.placed, MOST_LINES)
    if not shown:
        return None
    goal = data.state.goal
    sign = 1 if goal == "maximize" else -1
    shown = sorted(shown, key=lambda one: sign * value_of(one))
    dimensions: list[Mapping[str, Any]] = []
    for parameter in data.state.settings.space.parameters:
        ticks = list(parameter.choices) if isinstance(parameter, CategoricalParameter) else choose_ticks(parameter)
        dimensions.append(
            {
                "label": escape(cut(parameter.name)),
                "values": pack(parameter.to_unit(one.config[parameter.name]) for one in shown),
                "range": [0, 1],
                "tickvals": [parameter.to_unit(tick) for tick in ticks],
                # These ticks show their text as it is, entities too: an angle quotation mark looks like "<".
                "ticktext": [cut(shorten(tick, 3)).replace("<", "\u2039") for tick in ticks],
            }
        )
    values = [value_of(one) for one in shown]
    floor = find_floor([value_of(one) for one in data.placed], goal)
    dimensions.append({"label": escape(cut(data.state.metric_name)), "values": pack(clip(values, floor, goal))})
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={"color": pack(range(len(shown))), "colorscale": SCALE, "cmin": 0, "cmax": max(1, len(shown) - 1)},
            labelfont={"color": INK, "size": 12}, tickfont={"color": INK, "size": 11},
            rangefont={"color": "rgba(0,0,0,0)", "size": 1}, unselected={"line": {"color": LINE, "opacity": 0.25}},
        )
    )  # fmt: skip
    return finish(figure, 400, margin={"l": 64, "r": 48, "t": 48, "b": 20})


def draw_curves(data: ReportData) -> go.Figure | None:
    """Draw how the metric of the leading runs developed; the recommended config's stand out."""
    if not data.curves:
        return None
    numbers = {one.run_id: number for number, one in enumerate(data.evaluations)}
    recommended = data.state.recommended.config if data.state.recommended else data.state.best_config
    figure = go.Figure()
    named = set()
    for curve in sorted(data.curves, key=lambda curve: data.evaluations[numbers[curve.run_id]].config == recommended):
        one = data.evaluations[numbers[curve.run_id]]
        stands_out = one.config == recommended
        name, color = ("the best config", STAGE_COLORS[3]) if stands_out else ("other leaders", MUTED)
        figure.add_scatter(
            x=pack(curve.steps), y=pack(curve.values), mode="lines" if len(curve.values) > 1 else "markers", name=name,
            legendgroup=name, showlegend=name not in named, opacity=1 if stands_out else 0.5,
            line={"color": color, "width": 2 if stands_out else 1}, meta=RUNS,
            customdata=[numbers[curve.run_id]] * len(curve.steps), hovertemplate=HOVER,
        )  # fmt: skip
        named.add(name)
    return finish(figure, 340, "step", escape(cut(data.state.metric_name, 40)))
