"""Methods side by side, for the terminal."""

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from multistage.domain.runs.comparison import Comparison, Mean
from multistage.report.banner import format_config, format_number
from multistage.report.costs import format_dollars


def draw_comparison(comparison: Comparison) -> Group:
    """Draw a comparison as the guide's benchmark table, with intervals."""
    table = Table(title=f"{comparison.metric}, {comparison.budget} runs each", title_justify="left")
    for column in (
        "method",
        "runs",
        "best seen",
        f"its winner on {len(comparison.seeds)} fresh seeds",
        "multi-stage is",
    ):
        table.add_column(column)
    for result in comparison.results:
        table.add_row(
            f"{result.method} ({result.search})",
            str(result.runs),
            format_number(result.best),
            describe_mean(result.mean),
            _describe_gain(result.gain) if result.method != "multi-stage" else "",
        )
    winners = [f"{result.method}: {format_config(result.config)}" for result in comparison.results]
    note = (
        "The best value seen is a maximum over noise. Each winner was trained again, on the same fresh seeds for all "
        "and outside all budgets; intervals are 95%, by Student's t, of its mean and of the difference seed by seed. "
        "They know the noise of trainings, not that of searches: the same with another --seed may find other winners."
    )
    cost = [] if comparison.dollars is None else [f"Cost of the comparison: {format_dollars(comparison.dollars)}"]
    return Group(table, *(Text(line) for line in (*winners, *cost, note)))


def describe_mean(mean: Mean | None) -> str:
    """Write a mean with its interval."""
    if mean is None:
        return "every run failed"
    if mean.interval is None:
        return f"{format_number(mean.mean)} (1 run)"
    low, high = map(format_number, mean.interval)
    return f"{format_number(mean.mean)} ({low} to {high})"


def _describe_gain(gain: Mean | None) -> str:
    if gain is None:
        return ""
    word = "better" if gain.mean > 0 else "worse" if gain.mean < 0 else "as good"
    if gain.interval is None:
        return escape(f"{word} by {format_number(abs(gain.mean))}")
    low, high = gain.interval
    sure = "" if low > 0 or high < 0 else ", or as good"
    return f"{word} by {format_number(abs(gain.mean))} ({format_number(low)} to {format_number(high)}{sure})"
