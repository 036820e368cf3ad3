"""What workers that are paid cost: the estimate before a sweep, and the bill so far."""

from math import ceil, floor, log10

from rich.console import Group
from rich.table import Table
from rich.text import Text

from multistage.domain.durations import format_duration
from multistage.domain.sweep.plan import RunOptions, SweepPlan
from multistage.domain.sweep.state import State
from multistage.domain.workers.cost import Quote

RUN_LENGTHS = {"1 minute": 60, "10 minutes": 600, "1 hour": 3600, "6 hours": 21_600}
"""How long a run takes is known only to whoever asks."""


def draw_estimate(plan: SweepPlan, options: RunOptions, quote: Quote, run_seconds: float | None = None) -> Group:
    """Draw what a sweep will cost and how long it will take, by the length of its runs.

    Args:
        plan: The sweep.
        options: How it would be run.
        quote: What one worker costs.
        run_seconds: Length of one run where that is known; else several are drawn.
    """
    price = quote.fee.rate
    table = Table(title=f"Cost and time on {quote.title}", title_justify="left")
    for column in ("if a run takes", "cost", "time"):
        table.add_column(column)
    lengths = RUN_LENGTHS if run_seconds is None else {f"{run_seconds:.3g} s": run_seconds}
    for words, length in lengths.items():
        if quote.longest_run is not None and length > quote.longest_run:
            continue
        starts = sum(min(options.workers, stage.runs) for stage in plan.stages)
        dollars = price * (plan.settings.budget * length + starts * quote.start)
        seconds = sum(ceil(stage.runs / options.workers) * length + quote.start for stage in plan.stages)
        over = options.max_cost is not None and dollars > options.max_cost
        table.add_row(words, format_dollars(dollars) + (", above --max-cost" if over else ""), format_duration(seconds))
    made_of = f": {', '.join(quote.parts)}" if quote.parts else ""
    lines = [
        f"{quote.worker} costs ${price * 3600:.4g} an hour{made_of}, by {quote.source}.",
        *([f"The sweep ends early rather than cost more than ${options.max_cost:g}."] if options.max_cost else []),
    ]
    return Group(table, *(Text(line) for line in lines))


def describe_cost(state: State) -> list[str]:
    """Say what a sweep's workers have cost: in all, a run, and each stage; nothing where there were none."""
    cost = state.cost
    if cost is None:
        return []
    a_run = [f"{format_dollars(cost.dollars_a_run)} a run"] if cost.dollars_a_run is not None else []
    stages = [
        f"stage {stage.stage}: {format_dollars(stage.dollars)}" for stage in cost.stages if stage.stage is not None
    ]
    beside = [f"outside the budget: {format_dollars(cost.beside)}"] if cost.beside else []
    detail = ", ".join([*a_run, *stages, *beside])
    return [f"Cost: {format_dollars(cost.dollars)}" + (f" ({detail})" if detail else "") + f", by {cost.rates.source}"]


def format_dollars(dollars: float) -> str:
    """Write an amount in cents, a smaller one in two digits that count."""
    places = 2 if dollars >= 0.1 or not dollars else 1 - floor(log10(dollars))
    return f"${dollars:.{places}f}"
