"""The report's figures: each a pure function from data to a plotly figure, or None where there is nothing to draw.

Names and texts of runs are escaped: plotly reads a subset of HTML in every label.
"""

import html
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from multistage.domain.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.domain.results import Config, Evaluation
from multistage.report.banner import format_config
from multistage.report.data import (
    Influence,
    ReportData,
    arrange_lanes,
    has_value,
    list_contenders,
    map_model,
    slice_model,
)

STAGE_COLORS = {1: "#8aa4c8", 2: "#2f6db5", 3: "#d9622b"}
PHASE_COLORS = {
    "finished": "#3b8a5a", "stopped": "#d6a72c", "failed": "#c23b3b", "lost": "#8a5bb0", "active": "#9aa0a6",
}  # fmt: skip
MOST_CONTENDERS = 12
"""Configs whose seeds are shown."""
MOST_POINTS = 1500
"""Points of a stage that a figure draws; more are thinned evenly."""


def draw_history(data: ReportData) -> go.Figure | None:
    """Draw each run's value in the order of the slots, and the best so far."""
    runs = data.evaluations
    if not data.valued:
        return None
    figure = go.Figure()
    for stage, color in STAGE_COLORS.items():
        points = [(place, one) for place, one in enumerate(runs, start=1) if one.stage == stage and has_value(one)]
        points = thin(points)
        figure.add_scatter(
            x=[place for place, _ in points],
            y=[one.value for _, one in points],
            mode="markers",
            name=f"stage {stage}",
            marker={"color": color, "symbol": ["star" if one.finalist else "circle" for _, one in points]},
            text=[_describe(one) for _, one in points],
            hovertemplate="%{text}<extra></extra>",
        )
    best = max if data.state.goal == "maximize" else min
    places = [place for place, one in enumerate(runs, start=1) if has_value(one)]
    figure.add_scatter(
        x=places,
        y=list(accumulate((one.value for one in data.valued if one.value is not None), best)),
        mode="lines",
        line={"shape": "hv", "color": "#333"},
        name="best so far",
    )
    failed = [place for place, one in enumerate(runs, start=1) if one.outcome == "failed"]
    if failed:
        floor = min(one.value for one in data.valued if one.value is not None)
        figure.add_scatter(
            x=failed, y=[floor] * len(failed), mode="markers", name="failed", marker={"symbol": "x", "color": "#c23b3b"}
        )
    return _finish(figure, "run", escape(data.state.metric_name))


def draw_funnel(data: ReportData) -> go.Figure | None:
    """Draw the range of each parameter in each stage, and the configs that the stage handed on."""
    stages = data.state.stages_completed
    if not stages:
        return None
    parameters = data.state.settings.space.parameters
    figure = make_subplots(
        rows=len(parameters), cols=1, subplot_titles=[_title(parameter) for parameter in parameters],
        vertical_spacing=0.4 / len(parameters) if len(parameters) > 1 else 0,
    )  # fmt: skip
    for row, parameter in enumerate(parameters, start=1):
        for stage in stages:
            label, color = f"stage {stage.stage}", STAGE_COLORS[stage.stage]
            bounds = [_place(parameter, value) for value in stage.bounds[parameter.name]]
            mode = "markers" if isinstance(parameter, CategoricalParameter) else "lines"
            figure.add_scatter(
                x=bounds, y=[label] * len(bounds), mode=mode, line={"width": 16, "color": color}, opacity=0.35,
                marker={"size": 16, "color": color, "symbol": "square"}, showlegend=False,
                hovertemplate="%{x}<extra></extra>", row=row, col=1,
            )  # fmt: skip
            handed = [one.config[parameter.name] for one in stage.top_configs if parameter.name in one.config]
            figure.add_scatter(
                x=[_place(parameter, value) for value in handed], y=[label] * len(handed), mode="markers",
                marker={"color": color, "size": 7}, showlegend=False, hovertemplate="%{x}<extra></extra>",
                row=row, col=1,
            )  # fmt: skip
            for note in stage.narrowing:
                if note.name == parameter.name and note.edge != "none":
                    at = stage.bounds[parameter.name][-1 if note.edge in ("high", "both") else 0]
                    figure.add_scatter(
                        x=[_place(parameter, at)], y=[label], mode="markers", showlegend=False,
                        marker={"symbol": "triangle-right" if note.edge != "low" else "triangle-left",
                                "size": 13, "color": "#c23b3b"},
                        text=[escape(note.evidence)], hovertemplate="%{text}<extra></extra>", row=row, col=1,
                    )  # fmt: skip
        figure.update_xaxes(row=row, col=1, **_axis(parameter))
        figure.update_yaxes(row=row, col=1, autorange="reversed")
    return _finish(figure, height=110 + 130 * len(parameters))


def draw_parallel(data: ReportData) -> go.Figure | None:
    """Draw every run's config as one line, coloured by its value."""
    runs = [one for _, one in thin([(0, one) for one in data.valued])]
    if not runs:
        return None
    dimensions: list[Mapping[str, Any]] = []
    for parameter in data.state.settings.space.parameters:
        places = [0.0, 0.5, 1.0]
        ticks = [parameter.from_unit(place) for place in places]
        if isinstance(parameter, CategoricalParameter):
            ticks = list(parameter.choices)
        dimensions.append(
            {
                "label": escape(parameter.name),
                "values": [parameter.to_unit(one.config[parameter.name]) for one in runs],
                "range": [0, 1],
                "tickvals": [parameter.to_unit(tick) for tick in ticks],
                "ticktext": [escape(_short(tick)) for tick in ticks],
            }
        )
    values = [one.value for one in runs]
    dimensions.append({"label": escape(data.state.metric_name), "values": values})
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={"color": values, "colorscale": "Viridis", "reversescale": data.state.goal == "minimize"},
        )
    )
    return _finish(figure, height=380, margin={"l": 60, "r": 60, "t": 60, "b": 30})


def draw_slices(data: ReportData, center: Config | None) -> go.Figure | None:
    """Draw the values along each parameter, with the model's mean and 95% band around one config."""
    if not data.valued:
        return None
    parameters = data.state.settings.space.parameters
    columns = min(2, len(parameters))
    rows = -(-len(parameters) // columns)
    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=[_title(parameter) for parameter in parameters],
        vertical_spacing=0.3 / rows if rows > 1 else 0,
    )  # fmt: skip
    for number, parameter in enumerate(parameters):
        place: dict[str, Any] = {"row": number // columns + 1, "col": number % columns + 1}
        for stage, color in STAGE_COLORS.items():
            runs = [one for _, one in thin([(0, one) for one in data.valued if one.stage == stage])]
            figure.add_scatter(
                x=[_place(parameter, one.config[parameter.name]) for one in runs], y=[one.value for one in runs],
                mode="markers", marker={"color": color, "size": 6}, name=f"stage {stage}", legendgroup=str(stage),
                showlegend=number == 0, text=[_describe(one) for one in runs],
                hovertemplate="%{text}<extra></extra>", **place,
            )  # fmt: skip
        if center is not None:
            along = slice_model(data, center, parameter.name)
            xs = [_place(parameter, value) for value in along.values]
            high = [mean + 1.96 * width for mean, width in zip(along.means, along.deviations, strict=True)]
            low = [mean - 1.96 * width for mean, width in zip(along.means, along.deviations, strict=True)]
            figure.add_scatter(
                x=xs, y=high, mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip", **place
            )
            figure.add_scatter(
                x=xs, y=low, mode="lines", line={"width": 0}, fill="tonexty", fillcolor="rgba(60,60,60,.12)",
                showlegend=False, hoverinfo="skip", **place,
            )  # fmt: skip
            figure.add_scatter(
                x=xs, y=along.means, mode="lines", line={"color": "#333"}, name="model", showlegend=number == 0, **place
            )
        figure.update_xaxes(**place, **_axis(parameter))
    return _finish(figure, height=90 + 260 * rows)


def draw_contour(data: ReportData, center: Config | None, influences: Sequence[Influence]) -> go.Figure | None:
    """Draw the model's mean over the two parameters that matter most."""
    if center is None or len(influences) < 2:
        return None
    space = data.state.settings.space
    names = (influences[0].name, influences[1].name)
    surface = map_model(data, center, names)
    first, second = space[names[0]], space[names[1]]
    figure = go.Figure(
        go.Contour(
            x=[_place(first, value) for value in surface.first], y=[_place(second, value) for value in surface.second],
            z=surface.means, colorscale="Viridis", reversescale=data.state.goal == "minimize",
            colorbar={"title": escape(data.state.metric_name)},
        )
    )  # fmt: skip
    runs = [one for _, one in thin([(0, one) for one in data.valued])]
    figure.add_scatter(
        x=[_place(first, one.config[names[0]]) for one in runs],
        y=[_place(second, one.config[names[1]]) for one in runs],
        mode="markers", marker={"color": "white", "line": {"color": "#222", "width": 1}, "size": 6},
        text=[_describe(one) for one in runs], hovertemplate="%{text}<extra></extra>", showlegend=False,
    )  # fmt: skip
    figure.update_xaxes(**_axis(first))
    figure.update_yaxes(**_axis(second))
    return _finish(figure, escape(names[0]), escape(names[1]), height=460)


def draw_influences(influences: Sequence[Influence]) -> go.Figure | None:
    """Draw how much each parameter explains on its own."""
    if not influences:
        return None
    ordered = list(reversed(influences))
    figure = go.Figure(
        go.Bar(
            x=[one.share for one in ordered], y=[escape(one.name) for one in ordered], orientation="h",
            marker={"color": "#2f6db5"}, text=[f"{one.share:.0%}" for one in ordered],
        )
    )  # fmt: skip
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    return _finish(figure, "share of the believed variation", height=110 + 34 * len(ordered))


def draw_contenders(data: ReportData) -> go.Figure | None:
    """Draw the configs that were trained several times: every seed, the mean and its 95% interval."""
    contenders = list(reversed(list_contenders(data)[:MOST_CONTENDERS]))
    if not contenders:
        return None
    figure = go.Figure()
    labels = [f"config {number}" for number in range(len(contenders), 0, -1)]
    for label, one in zip(labels, contenders, strict=True):
        figure.add_scatter(
            x=one.values, y=[label] * len(one.values), mode="markers", marker={"color": "#8aa4c8"}, showlegend=False
        )
    figure.add_scatter(
        x=[one.mean for one in contenders], y=labels, mode="markers", showlegend=False,
        marker={"color": "#d9622b", "symbol": "diamond", "size": 9},
        error_x={"array": [one.interval[1] - one.mean for one in contenders]},
    )  # fmt: skip
    figure.update_yaxes(automargin=True)
    return _finish(figure, escape(data.state.metric_name), height=120 + 44 * len(contenders))


def draw_timeline(data: ReportData) -> go.Figure | None:
    """Draw who trained what when: gaps are idle time, colours tell how each run ended."""
    lanes = arrange_lanes(data.runs)
    if not lanes:
        return None
    figure = go.Figure()
    for phase, color in PHASE_COLORS.items():
        bars = [(lane.name, run) for lane in lanes for run in lane.runs if run.record.phase == phase]
        if not bars:
            continue
        figure.add_bar(
            y=[escape(name) for name, _ in bars],
            base=[run.started_at for _, run in bars],
            x=[(run.ended_at - run.started_at).total_seconds() * 1000
               for _, run in bars if run.ended_at and run.started_at],
            orientation="h", name=phase, marker={"color": color, "line": {"color": "white", "width": 0.5}},
            text=[f"{run.record.name} {escape(run.record.error)}" for _, run in bars],
            textposition="none", hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(type="date")
    return _finish(figure, height=110 + 30 * len(lanes))


def draw_hours(data: ReportData) -> go.Figure | None:
    """Draw the hours of training so far over the time of day."""
    ended = sorted(
        (run.ended_at, (run.ended_at - run.started_at).total_seconds() / 3600)
        for run in data.runs
        if run.started_at and run.ended_at
    )
    if not ended:
        return None
    figure = go.Figure(
        go.Scatter(
            x=[moment for moment, _ in ended], y=list(accumulate(hours for _, hours in ended)), mode="lines",
            line={"shape": "hv", "color": "#2f6db5"}, fill="tozeroy",
        )
    )  # fmt: skip
    return _finish(figure, "", "hours of training", height=260)


def escape(text: str) -> str:
    """Escape what plotly's labels would read as markup; they leave ``&quot;`` as it is."""
    return html.escape(text, quote=False)


def thin(points: Sequence[tuple[int, Evaluation]]) -> list[tuple[int, Evaluation]]:
    """Keep at most `MOST_POINTS`, evenly."""
    step = -(-len(points) // MOST_POINTS) or 1
    return list(points[::step])


def _describe(one: Evaluation) -> str:
    return f"stage {one.stage}, run {escape(one.run_id)}: {one.value:.5g}<br>{escape(format_config(one.config))}"


def _title(parameter: Parameter) -> str:
    return escape(parameter.name)


def _place(parameter: Parameter, value: object) -> object:
    return escape(str(value)) if isinstance(parameter, CategoricalParameter) else value


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _axis(parameter: Parameter) -> dict[str, Any]:
    match parameter:
        case CategoricalParameter():
            return {"type": "category"}
        case PowerOfTwoParameter():
            return {"type": "log", "dtick": 0.30102999566398}
        case FloatParameter(scale="log") | IntParameter(scale="log"):
            return {"type": "log"}
        case FloatParameter() | IntParameter():
            return {"type": "linear"}


def _finish(figure: go.Figure, x: str = "", y: str = "", height: int = 380, **layout: Any) -> go.Figure:
    figure.update_layout(
        template="plotly_white", height=height, font={"size": 12}, legend={"orientation": "h", "y": 1.12},
        margin={"l": 50, "r": 15, "t": 40, "b": 45},
    )  # fmt: skip
    figure.update_layout(**layout)
    if x:
        figure.update_xaxes(title=x)
    if y:
        figure.update_yaxes(title=y)
    return figure
