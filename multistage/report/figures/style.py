"""What all figures share: colours, axes, the text of runs.

Colours are the page's own, as ``var(--name)``: the page fills them in by its scheme, light or dark. Names and texts of
runs are escaped: plotly reads a subset of HTML in every label. What a run is and did is kept once for the whole page;
a trace refers to it by ``customdata``, the run's place, under the meta word ``RUNS``.
"""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from multistage.domain.runs.results import Evaluation, Goal, Value
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    NumericParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.report.data import ReportData

INK, MUTED, LINE, CARD, ACCENT, BAD = (f"var(--{name})" for name in ("ink", "muted", "line", "card", "accent", "bad"))
BAND = "var(--band)"
STAGE_COLORS = {1: "var(--stage1)", 2: "var(--stage2)", 3: "var(--stage3)"}
SCALE = [(0.0, "var(--scale0)"), (0.35, "var(--scale1)"), (0.75, "var(--scale2)"), (1.0, "var(--scale3)")]
"""From poor to good."""
PHASE_COLORS = {
    "finished": "var(--good)", "stopped": "var(--warn)", "failed": BAD, "lost": "var(--lost)", "active": MUTED,
}  # fmt: skip
RUNS = "runs"
MOST_POINTS = 1500
"""Points that a figure draws; more are thinned evenly, and the best are kept."""
ALWAYS_KEPT = 20
HOVER = "%{text}<extra></extra>"


def escape(text: str) -> str:
    """Escape what plotly's labels would read as markup; they leave ``&quot;`` as it is."""
    return html.escape(text, quote=False)


def cut(text: str, most: int = 18) -> str:
    """Leave out the end of a text that is too long for its place."""
    return text if len(text) <= most else text[: most - 1] + "…"


def shorten(value: object, digits: int = 4) -> str:
    """Write a value in few characters, as text."""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def thin(data: ReportData, found: Sequence[Evaluation], most: int = MOST_POINTS) -> list[Evaluation]:
    """Keep at most so many evaluations, evenly, and the best of them all."""
    if len(found) <= most:
        return list(found)
    best = {leader.run_id for leader in data.leaders[:ALWAYS_KEPT]}
    step = -(-len(found) // max(1, most - ALWAYS_KEPT))
    return [one for place, one in enumerate(found) if place % step == 0 or one.run_id in best]


def find_floor(values: Sequence[float], goal: Goal) -> float:
    """Find the worst value worth its room on an axis: what lies far below the best 80% is drawn at the edge."""
    best, worst = (max(values), min(values)) if goal == "maximize" else (min(values), max(values))
    middle = float(np.quantile(values, 0.2 if goal == "maximize" else 0.8))
    floor = middle - 0.6 * (best - middle)
    if best == middle or abs(best - worst) <= 1.5 * abs(best - floor):
        return worst
    return floor


def clip(values: Iterable[float], floor: float, goal: Goal) -> list[float]:
    """Move what is worse than the floor to it."""
    keep = max if goal == "maximize" else min
    return [keep(value, floor) for value in values]


def mark(values: Iterable[float], floor: float, goal: Goal, symbol: str = "circle") -> list[str]:
    """Name the symbol of each value: an arrow for those that lie beyond the floor."""
    arrow = "triangle-down-open" if goal == "maximize" else "triangle-up-open"
    return [arrow if (value < floor if goal == "maximize" else value > floor) else symbol for value in values]


def pack(values: Iterable[float]) -> np.ndarray:
    """Pack numbers into half the room."""
    return np.array(list(values), dtype=np.float32)


def place(parameter: Parameter, value: Value) -> Any:
    """Write a value as an axis takes it: text of choices, the logarithm of nothing (plotly takes it itself)."""
    return escape(str(value)) if isinstance(parameter, CategoricalParameter) else value


def place_all(parameter: Parameter, values: Iterable[Value]) -> Any:
    """Write values as an axis takes them; numbers packed."""
    placed = [place(parameter, value) for value in values]
    return placed if isinstance(parameter, CategoricalParameter) else np.array(placed, dtype=np.float64)


def build_axis(parameter: Parameter) -> dict[str, Any]:
    """Build an axis on the parameter's own scale, over its first bounds, with few and round ticks."""
    match parameter:
        case CategoricalParameter(choices=choices):
            names = [escape(str(choice)) for choice in choices]
            return {"type": "category", "categoryorder": "array", "categoryarray": names, "tickvals": names,
                    "ticktext": [escape(cut(str(choice))) for choice in choices],
                    "range": [-0.5, len(names) - 0.5]}  # fmt: skip
        case PowerOfTwoParameter() | FloatParameter(scale="log") | IntParameter(scale="log"):
            ticks = choose_log_ticks(parameter)
            low, high = math.log10(parameter.low), math.log10(parameter.high)
            margin = 0.04 * (high - low) or 0.1
            return {"type": "log", "tickvals": ticks, "ticktext": [shorten(tick) for tick in ticks],
                    "range": [low - margin, high + margin]}  # fmt: skip
        case FloatParameter() | IntParameter():
            margin = 0.04 * (parameter.high - parameter.low) or 0.5
            return {"type": "linear", "nticks": 6, "range": [parameter.low - margin, parameter.high + margin]}


def choose_ticks(parameter: NumericParameter) -> list[Value]:
    """Choose a few values of a parameter, both bounds among them, that a figure without axes of its own may name."""
    match parameter:
        case FloatParameter(scale="log"):
            inner = [tick for tick in choose_log_ticks(parameter) if 0.06 < parameter.to_unit(tick) < 0.94]
            return [parameter.low, *inner, parameter.high]
        case _:
            return parameter.grid(5)


def choose_log_ticks(parameter: Parameter) -> list[float]:
    """Choose at most six ticks: powers of ten where the range spans some, values of the grid otherwise."""
    if not isinstance(parameter, PowerOfTwoParameter) and not isinstance(parameter, CategoricalParameter):
        first, last = math.ceil(math.log10(parameter.low) - 1e-9), math.floor(math.log10(parameter.high) + 1e-9)
        if last - first >= 2:
            step = -(-(last - first + 1) // 6)
            return [float(f"1e{power}") for power in range(first, last + 1, step)]
    return [float(f"{float(value):.2g}") if isinstance(value, float) else float(value) for value in parameter.grid(5)]


def finish(figure: go.Figure, height: int, x: str = "", y: str = "", **layout: Any) -> go.Figure:
    """Style a figure like the page.

    Args:
        figure: What was drawn.
        height: In CSS pixels; the width is the page's.
        x: Title of the x axes.
        y: Title of the y axes.
        layout: What else it needs.
    """
    figure.update_layout(
        template="none", height=height, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "var(--font)", "size": 12, "color": MUTED},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"color": INK}},
        margin={"l": 8, "r": 8, "t": 34 if layout.get("showlegend", True) else 10, "b": 8},
        hoverlabel={"bgcolor": CARD, "bordercolor": LINE, "align": "left",
                    "font": {"family": "var(--font)", "size": 12, "color": INK}},
        hovermode="closest", separators=".",
    )  # fmt: skip
    looks = {"gridcolor": LINE, "linecolor": LINE, "zeroline": False, "automargin": True, "ticks": "",
             "title": {"font": {"size": 12}, "standoff": 8}}  # fmt: skip
    figure.update_xaxes(**looks)
    figure.update_yaxes(**looks)
    figure.update_layout(**layout)
    if x:
        figure.update_xaxes(title_text=x)
    if y:
        figure.update_yaxes(title_text=y)
    return figure
