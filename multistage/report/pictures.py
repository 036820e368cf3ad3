"""A picture of a sweep's history as SVG, for where no script runs: the Prefect UI's image artifacts.

A picture of the report's figure needs a browser to be drawn; these few lines need nothing.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import accumulate

from multistage.domain.runs.results import Evaluation
from multistage.report.data import ReportData, value_of
from multistage.report.figures.style import clip, find_floor, thin

Place = Callable[[float, float], tuple[float, float]]
"""From a run's number and a value to a point of the picture."""

WIDTH, HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 16, 44, 34
_COLORS = {1: "#93a3b8", 2: "#2f6fc4", 3: "#dd6a1f"}


def draw_history_picture(data: ReportData) -> str | None:
    """Draw each run's value in the order of the slots and the best so far; None where no run has a value.

    Returns:
        An SVG document, readable on light and dark ground since it brings its own.
    """
    if not data.valued:
        return None
    goal = data.state.goal
    floor = find_floor([value_of(one) for one in data.valued], goal)
    values = clip((value_of(one) for one in data.valued), floor, goal)
    low, high = min(values), max(values)
    numbers = {one.run_id: number for number, one in enumerate(data.evaluations, start=1)}

    def place(number: float, value: float) -> tuple[float, float]:
        across = (number - 1) / max(1, len(data.evaluations) - 1)
        up = (clip([value], floor, goal)[0] - low) / (high - low) if high > low else 0.5
        return _LEFT + across * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM)

    dots = []
    for one in thin(data, data.valued, 600):
        x, y = place(numbers[one.run_id], value_of(one))
        dots.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{4.5 if one.finalist else 3}' fill='{_COLORS[one.stage]}'/>")
    grid = []
    for share in (0, 0.5, 1):
        y = HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)
        value = f"{low + share * (high - low):.4g}"
        grid.append(
            f"<path d='M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}' stroke='#e2e6eb'/>"
            f"<text x='{_LEFT - 8}' y='{y + 4:.1f}' text-anchor='end'>{value}</text>"
        )
    legend = "".join(
        f"<circle cx='{WIDTH - 210 + 66 * (stage - 1)}' cy='20' r='4' fill='{color}'/>"
        f"<text x='{WIDTH - 202 + 66 * (stage - 1)}' y='24'>stage {stage}</text>"
        for stage, color in _COLORS.items()
    )
    title = escape(f"{data.state.config_id}: {data.state.metric_name}"[:60])
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' height='{HEIGHT}' "
        f"font-family='system-ui, sans-serif' font-size='12' fill='#5d6876'><rect width='100%' height='100%' "
        f"rx='8' fill='#fff'/><text x='14' y='25' font-size='14' font-weight='600' fill='#18202a'>{title}</text>"
        f"{legend}{''.join(grid)}{''.join(dots)}"
        f"<path d='{_trace_best(data.leaders, numbers, goal == 'maximize', place)}' "
        f"fill='none' stroke='#18202a' stroke-width='1.5'/><text x='{WIDTH - _RIGHT}' y='{HEIGHT - 10}' "
        f"text-anchor='end'>{len(data.evaluations)} runs</text></svg>"
    )


def embed_picture(svg: str) -> str:
    """Write a picture as a URL that holds all of it."""
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def _trace_best(leaders: Sequence[Evaluation], numbers: Mapping[str, int], highest: bool, place: Place) -> str:
    """Trace the best so far as an SVG path of steps, to the last run's place."""
    ordered = sorted(leaders, key=lambda one: numbers[one.run_id])
    if not ordered:
        return ""
    bests = list(accumulate((value_of(one) for one in ordered), max if highest else min))
    x, y = place(numbers[ordered[0].run_id], bests[0])
    path = [f"M{x:.1f} {y:.1f}"]
    for one, best, before in zip(ordered[1:], bests[1:], bests, strict=False):
        if best != before:
            x, y = place(numbers[one.run_id], best)
            path.append(f"H{x:.1f}V{y:.1f}")
    x, _ = place(max(numbers.values()), bests[-1])
    return "".join([*path, f"H{x:.1f}"])
