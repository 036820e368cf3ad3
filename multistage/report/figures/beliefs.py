"""What the runs make one believe: which parameters matter, and where the good values lie."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from multistage.domain.space.parameters import CategoricalParameter, Parameter
from multistage.report.beliefs import Influence, map_model, slice_model
from multistage.report.data import ReportData, value_of
from multistage.report.figures.style import (
    ACCENT,
    BAND,
    CARD,
    HOVER,
    INK,
    RUNS,
    SCALE,
    STAGE_COLORS,
    build_axis,
    clip,
    cut,
    escape,
    find_floor,
    finish,
    mark,
    pack,
    place,
    place_all,
    thin,
)

POINTS_OF_SLICE = 600
LEAST_FOR_CONTOUR = 6
"""Runs below which the model's mean over two parameters would be a guess."""


def describe_share(one: Influence) -> str:
    """Write a share of the importance, with how unsure it is where that is known."""
    low, high = one.interval or (one.share, one.share)
    return f"{one.share:.0%}" + (f" ({100 * low:.0f} to {high:.0%})" if one.interval else "")


def draw_influences(influences: Sequence[Influence]) -> go.Figure | None:
    """Draw how much each parameter matters; pale where that is no more than chance shows."""
    if not influences:
        return None
    ordered = list(reversed(influences))
    figure = go.Figure(
        go.Bar(
            x=[one.share for one in ordered], y=[escape(one.name) for one in ordered], orientation="h",
            marker={"color": [ACCENT if one.matters else BAND for one in ordered]},
            text=[f" {describe_share(one)}" for one in ordered], textposition="outside",
            cliponaxis=False, textfont={"color": INK}, hoverinfo="skip", width=0.6,
        )
    )  # fmt: skip
    figure.update_xaxes(tickformat=".0%", range=[0, 1.08], tickvals=[0, 0.25, 0.5, 0.75, 1])
    figure.update_yaxes(showgrid=False, tickfont={"color": INK})
    return finish(figure, 56 + 28 * len(ordered), showlegend=False)


def draw_slice(data: ReportData, parameter: Parameter) -> go.Figure | None:
    """Draw the values along one parameter, with the model's mean and 95% band around the best config."""
    if not data.placed:
        return None
    goal, numbers = data.state.goal, {one.run_id: number for number, one in enumerate(data.evaluations)}
    floor = find_floor([value_of(one) for one in data.placed], goal)
    figure = go.Figure()
    for stage, color in STAGE_COLORS.items():
        runs = [one for one in thin(data, data.placed, POINTS_OF_SLICE) if one.stage == stage]
        values = [value_of(run) for run in runs]
        figure.add_scatter(
            x=place_all(parameter, (run.config[parameter.name] for run in runs)),
            y=pack(clip(values, floor, goal)), mode="markers", meta=RUNS,
            customdata=[numbers[run.run_id] for run in runs], hovertemplate=HOVER,
            marker={"color": color, "size": 6, "opacity": 0.8, "symbol": mark(values, floor, goal)},
        )  # fmt: skip
    if data.center is not None:
        _add_model(figure, data, parameter, floor)
    figure.update_xaxes(**build_axis(parameter))
    return finish(figure, 230, showlegend=False)


def _add_model(figure: go.Figure, data: ReportData, parameter: Parameter, floor: float) -> None:
    assert data.center is not None  # noqa: S101 - its only caller looked
    along = slice_model(data, data.center, parameter.name)
    xs = place_all(parameter, along.values)
    goal = data.state.goal
    if isinstance(parameter, CategoricalParameter):
        figure.add_scatter(
            x=xs, y=pack(along.means), mode="markers", hovertemplate="expected %{y:.5g}<extra></extra>",
            marker={"symbol": "line-ew", "size": 18, "line": {"width": 2, "color": INK}},
            error_y={
                "array": pack(high - mean for high, mean in zip(along.highs, along.means, strict=True)),
                "arrayminus": pack(mean - low for low, mean in zip(along.lows, along.means, strict=True)),
                "color": INK, "thickness": 1,
            },
        )  # fmt: skip
    else:
        bare: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        figure.add_scatter(x=xs, y=pack(clip(along.highs, floor, goal)), **bare)
        figure.add_scatter(x=xs, y=pack(clip(along.lows, floor, goal)), fill="tonexty", fillcolor=BAND, **bare)
        figure.add_scatter(
            x=xs, y=pack(clip(along.means, floor, goal)), mode="lines", line={"color": INK, "width": 1.5},
            hovertemplate="expected %{y:.5g}<extra></extra>",
        )  # fmt: skip
    if parameter.contains(data.center[parameter.name]):
        figure.add_vline(x=_spot(parameter, data), line={"color": STAGE_COLORS[3], "width": 1, "dash": "dot"})


def _spot(parameter: Parameter, data: ReportData) -> Any:
    """Where the center lies on an axis: plotly's lines count choices, and take logarithmic axes' own values."""
    assert data.center is not None  # noqa: S101 - its only caller looked
    value = data.center[parameter.name]
    return parameter.choices.index(value) if isinstance(parameter, CategoricalParameter) else place(parameter, value)


def draw_contour(data: ReportData, influences: Sequence[Influence]) -> go.Figure | None:
    """Draw the model's mean over the two parameters that matter most; over the first two where that is not known."""
    space, goal = data.state.settings.space, data.state.goal
    if data.center is None or len(space.names) < 2 or len(data.placed) < LEAST_FOR_CONTOUR:
        return None
    known = [influence.name for influence in influences]
    names = [*known, *(name for name in space.names if name not in known)]
    surface = map_model(data, data.center, (names[0], names[1]))
    first, second = space[names[0]], space[names[1]]
    floor = find_floor([value_of(one) for one in data.placed], goal)
    scale = SCALE if goal == "maximize" else [(1 - stop, color) for stop, color in reversed(SCALE)]
    figure = go.Figure(
        go.Contour(
            x=place_all(first, surface.first), y=place_all(second, surface.second),
            z=[pack(clip(row, floor, goal)) for row in surface.means], colorscale=scale, ncontours=14,
            line={"width": 0.5, "color": CARD}, hovertemplate="expected %{z:.5g}<extra></extra>",
            colorbar={"thickness": 10, "outlinewidth": 0, "tickfont": {"size": 11}, "x": 1.0, "nticks": 6},
        )
    )  # fmt: skip
    numbers = {one.run_id: number for number, one in enumerate(data.evaluations)}
    runs = thin(data, data.placed, POINTS_OF_SLICE)
    figure.add_scatter(
        x=place_all(first, (run.config[names[0]] for run in runs)),
        y=place_all(second, (run.config[names[1]] for run in runs)),
        mode="markers", meta=RUNS, customdata=[numbers[run.run_id] for run in runs], hovertemplate=HOVER,
        marker={"color": CARD, "line": {"color": INK, "width": 1}, "size": 6},
    )  # fmt: skip
    figure.add_scatter(
        x=place_all(first, [data.center[names[0]]]), y=place_all(second, [data.center[names[1]]]), mode="markers",
        marker={"symbol": "star", "color": STAGE_COLORS[3], "size": 16, "line": {"color": CARD, "width": 1.5}},
        hovertemplate="the best config<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(**build_axis(first))
    figure.update_yaxes(**build_axis(second))
    return finish(figure, 440, escape(cut(names[0], 40)), escape(cut(names[1], 40)), showlegend=False)
