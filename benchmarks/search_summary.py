"""What the cells of the search benchmark say: Markdown tables, intervals, paired differences, a picture."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = (
    "method",
    "mean regret [95%]",
    "median",
    "rank",
    "regret of the best seen",
    "reported over true",
    "s a suggestion",
    "makespan over ideal",
    "regret over multistage's [95%]",
)
Cell = dict[str, Any]


def summarize(cells: Iterable[Cell]) -> str:
    """Tables in Markdown: the methods' regrets, then the product's own against each peer."""
    by_budget: dict[int, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_budget[cell["budget"]].append(cell)
    lines: list[str] = []
    for budget, group in sorted(by_budget.items()):
        regrets = _gather(group)
        lines += [
            "",
            f"## {budget} runs",
            "",
            f"| {' | '.join(COLUMNS)} |",
            "|---" * len(COLUMNS) + "|",
        ]
        ranks = _rank(regrets)
        for method in sorted(regrets, key=lambda name: _mean(regrets[name])):
            own = [cell for cell in group if cell["method"] == method]
            versus = ""
            if method != "multistage" and "multistage" in regrets:
                paired = _pair(regrets[method], regrets["multistage"])
                if paired:
                    versus = f"{_mean(paired):+.3f}{_bound_mean(paired, '+.3f')}"
            over = np.mean([_overstate(cell, group) for cell in own])
            lines.append(
                f"| {method} | {_mean(regrets[method]):.3f}{_bound_mean(regrets[method], '.3f')} "
                f"| {np.median([cell['regret'] for cell in own]):.3f} | {ranks[method]:.2f} "
                f"| {np.mean([cell['regret_seen'] for cell in own]):.3f} | {over:+.3f} "
                f"| {np.median([cell['suggest_s'] for cell in own]):.4f} "
                f"| {np.mean([cell['makespan'] for cell in own]):.2f} | {versus} |"
            )
    return "\n".join(lines).strip()


Regrets = dict[str, dict[int, float]]


def _gather(cells: Sequence[Cell]) -> dict[str, Regrets]:
    """Regrets by method, table and repeat."""
    found: dict[str, Regrets] = defaultdict(lambda: defaultdict(dict))
    for cell in cells:
        found[cell["method"]][cell["table"]][cell["repeat"]] = cell["regret"]
    return found


def _mean(regrets: Regrets) -> float:
    """The mean over tables of the mean over repeats: every table counts the same."""
    return float(np.mean([np.mean(list(repeats.values())) for repeats in regrets.values()]))


def _pair(theirs: Regrets, ours: Regrets) -> Regrets:
    pairs = {
        table: {repeat: value - ours[table][repeat] for repeat, value in repeats.items() if repeat in ours[table]}
        for table, repeats in theirs.items()
        if table in ours
    }
    return {table: repeats for table, repeats in pairs.items() if repeats}


def _bootstrap(regrets: Regrets, draws: int = 2000) -> tuple[float, float]:
    """95% interval of the mean, its repeats drawn again within each table: the tables are what they are."""
    random = np.random.default_rng(0)
    means = np.zeros(draws)
    for repeats in regrets.values():
        values = np.array(list(repeats.values()))
        means += random.choice(values, (draws, len(values))).mean(axis=1)
    low, high = np.quantile(means / len(regrets), [0.025, 0.975])
    return float(low), float(high)


def _bound_mean(regrets: Regrets, form: str) -> str:
    """The interval as text; nothing where no table has a second repeat to draw from."""
    if all(len(repeats) < 2 for repeats in regrets.values()):
        return " (one repeat)"
    low, high = _bootstrap(regrets)
    return f" [{low:{form}}, {high:{form}}]"


def _rank(regrets: Mapping[str, Regrets]) -> dict[str, float]:
    """Mean rank over tables and the repeats that all methods have; 1 is best."""
    places: dict[str, list[float]] = defaultdict(list)
    for table in {table for tables in regrets.values() for table in tables}:
        methods = [method for method in regrets if table in regrets[method]]
        shared = set.intersection(*(set(regrets[method][table]) for method in methods))
        for repeat in shared:
            values = np.array([regrets[method][table][repeat] for method in methods])
            for method, value in zip(methods, values, strict=True):
                places[method].append(float((values < value).sum() + ((values == value).sum() + 1) / 2))
    return {method: float(np.mean(places[method] or [np.nan])) for method in regrets}


def _overstate(cell: Cell, group: Sequence[Cell]) -> float:
    """Reported minus true value, in units of regret."""
    same = [other for other in group if other["table"] == cell["table"]]
    # True value and regret of any two cells of a table tell what a unit of regret is worth.
    low, high = min(same, key=lambda other: other["true"]), max(same, key=lambda other: other["true"])
    spread = low["regret"] - high["regret"]
    return float((cell["reported"] - cell["true"]) * spread / (high["true"] - low["true"])) if spread else 0.0


def draw_plot(cells: Sequence[Cell], path: Path) -> None:
    """Mean regret by budget with its interval, a panel a budget."""
    import matplotlib.pyplot as plt  # type: ignore[import-not-found,unused-ignore]

    budgets = sorted({cell["budget"] for cell in cells})
    figure, axes = plt.subplots(1, len(budgets), figsize=(4.2 * len(budgets), 4), squeeze=False)
    for axis, budget in zip(axes[0], budgets, strict=True):
        regrets = _gather([cell for cell in cells if cell["budget"] == budget])
        methods = sorted(regrets, key=lambda name: -_mean(regrets[name]))
        for place, method in enumerate(methods):
            low, high = _bootstrap(regrets[method])
            colour = "tab:red" if method == "multistage" else "tab:gray"
            axis.plot([low, high], [place, place], color=colour)
            axis.plot([_mean(regrets[method])], [place], "o", color=colour)
        axis.set_yticks(range(len(methods)), methods)
        axis.set_xlabel("mean regret of the true value")
        axis.set_title(f"{budget} runs")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
