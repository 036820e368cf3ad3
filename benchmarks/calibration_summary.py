"""What the outcomes of the calibration benchmark say: Markdown tables and a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm, t

Outcome = dict[str, Any]
"""What was told of a sweep, and what is true."""
HEADS = (
    "runs",
    "label",
    "table",
    "sweeps",
    "covered [95%]",
    "half width",
    "interval score",
    "Student's own",
    "error of the mean",
    "regret",
)
MISS = 0.05
"""Chance that an interval is let to miss by."""


def bound_share(hits: int, count: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share."""
    z, share = float(norm.ppf(0.975)), hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * float(np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)))
    return centre - half, centre + half


def covers(one: Outcome) -> bool:
    """Whether the interval holds the true value; to rounding, which deterministic runs need."""
    slack = 1e-9 * max(1.0, abs(one["true"]))
    return bool(one["interval"][0] - slack <= one["true"] <= one["interval"][1] + slack)


def score(interval: Sequence[float], true: float) -> float:
    """An interval's width and 40 times what it misses by; the less, the better (Winkler, 1972)."""
    low, high = interval
    return high - low + 2 / MISS * (max(low - true, 0.0) + max(true - high, 0.0))


def bound_plainly(runs: Sequence[float]) -> tuple[float, float] | None:
    """The plain interval of a config's own runs by Student's t; None of one run."""
    if len(runs) < 2:
        return None
    half = float(t.ppf(1 - MISS / 2, len(runs) - 1)) * float(np.std(runs, ddof=1)) / len(runs) ** 0.5
    return float(np.mean(runs)) - half, float(np.mean(runs)) + half


def summarize(outcomes: Sequence[Outcome]) -> str:
    """Markdown: a line a budget, label and table, and all tables together; then the bins of the chance."""
    lines = [f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
    for quiet, budget, label in _list(outcomes, "quiet", "budget", "label"):
        group = _pick(outcomes, quiet=quiet, budget=budget, label=label)
        for (table,) in _list(group, "table"):
            lines.append(_tell(budget, label, table + ", no noise" * quiet, _pick(group, table=table)))
        lines.append(_tell(budget, label, "**all" + ", no noise" * quiet + "**", group))
    return "\n".join([*lines, "", *_tell_chances([one for one in outcomes if not one["quiet"]])])


def _list(outcomes: Sequence[Outcome], *names: str) -> list[tuple[Any, ...]]:
    return sorted({tuple(one[name] for name in names) for one in outcomes})


def _pick(outcomes: Sequence[Outcome], **wanted: object) -> list[Outcome]:
    return [one for one in outcomes if wanted.items() <= one.items()]


def _tell(budget: int, label: str, table: str, group: Sequence[Outcome]) -> str:
    hits = sum(covers(one) for one in group)
    low, high = bound_share(hits, len(group))
    half = np.median([(one["interval"][1] - one["interval"][0]) / 2 / one["unit"] for one in group])
    scores = np.mean([score(one["interval"], one["true"]) / one["unit"] for one in group])
    errors = [(one["mean"] - one["true"]) / one["unit"] for one in group]
    regrets = [(one["best"] - one["true"]) / one["unit"] for one in group]
    return (
        f"| {budget} | {label} | {table} | {len(group)} | {hits / len(group):.3f} [{low:.3f}, {high:.3f}] | {half:.3f} "
        f"| {scores:.3f} | {_compare_plainly(group)} | {np.mean(errors):+.3f} | {np.mean(regrets):.3f} |"
    )


def _compare_plainly(group: Sequence[Outcome]) -> str:
    """The interval score of Student's plain interval, and this one's on the same sweeps: those with runs enough."""
    pairs = [
        (score(plain, one["true"]) / one["unit"], score(one["interval"], one["true"]) / one["unit"])
        for one in group
        if (plain := bound_plainly(one["runs"])) is not None
    ]
    if not pairs:
        return "one run each"
    plain, ours = np.mean(pairs, axis=0)
    return f"{plain:.3f} against {ours:.3f} ({len(pairs)})"


def _tell_chances(outcomes: Sequence[Outcome]) -> list[str]:
    """How often the recommended config is better, by the chance that was told; those that are the defaults apart."""
    lines = ["| label | told | sweeps | mean told | better indeed [95%] |", "|---|---|---|---|---|"]
    for (label,) in _list(outcomes, "label"):
        for number, group in enumerate(bin_chances(_pick(outcomes, label=label))):
            if group:
                hits = sum(one["is_better"] for one in group)
                low, high = bound_share(hits, len(group))
                told = np.mean([one["better"] for one in group])
                lines.append(
                    f"| {label} | {number / 10:.1f} to {number / 10 + 0.1:.1f} | {len(group)} | {told:.3f} "
                    f"| {hits / len(group):.3f} [{low:.3f}, {high:.3f}] |"
                )
    return lines


def bin_chances(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    """Ten bins of the chance to be better than the defaults."""
    bins: list[list[Outcome]] = [[] for _ in range(10)]
    for one in outcomes:
        if one["better"] is not None and not one["is_default"]:
            bins[min(9, int(one["better"] * 10))].append(one)
    return bins


def draw_plot(outcomes: Sequence[Outcome], path: Path) -> None:
    """Coverage by table and budget, and the reliability of the chance to be better."""
    import matplotlib.pyplot as plt  # type: ignore[import-not-found,unused-ignore]

    noisy = [one for one in outcomes if not one["quiet"]]
    budgets = [budget for (budget,) in _list(noisy, "budget")]
    figure, axes = plt.subplots(1, len(budgets) + 1, figsize=(3.6 * (len(budgets) + 1), 4), squeeze=False)
    for axis, budget in zip(axes[0], budgets, strict=False):
        _draw_coverage(axis, _pick(noisy, budget=budget))
        axis.set_title(f"{budget} runs")
    _draw_reliability(axes[0][-1], noisy)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw_coverage(axis: Any, outcomes: Sequence[Outcome]) -> None:
    tables = [table for (table,) in _list(outcomes, "table")]
    for shift, (label,) in enumerate(_list(outcomes, "label")):
        for place, table in enumerate(tables):
            group = _pick(outcomes, label=label, table=table)
            hits = sum(map(covers, group))
            axis.plot(bound_share(hits, len(group)), [place + 0.2 * shift] * 2, color=f"C{shift}")
            name = label if place == 0 else None
            axis.plot([hits / len(group)], [place + 0.2 * shift], "o", color=f"C{shift}", label=name)
    axis.axvline(1 - MISS, color="gray", linestyle=":")
    axis.set_yticks(range(len(tables)), tables, fontsize=7)
    axis.set_xlabel("share of 95% intervals that hold")
    axis.legend(fontsize=7)


def _draw_reliability(axis: Any, outcomes: Sequence[Outcome]) -> None:
    for shift, (label,) in enumerate(_list(outcomes, "label")):
        groups = [group for group in bin_chances(_pick(outcomes, label=label)) if group]
        told = [np.mean([one["better"] for one in group]) for group in groups]
        hits = [sum(one["is_better"] for one in group) for group in groups]
        for x, count, group in zip(told, hits, groups, strict=True):
            axis.plot([x, x], bound_share(count, len(group)), color=f"C{shift}")
        axis.plot(told, [count / len(group) for count, group in zip(hits, groups, strict=True)], "o", label=label)
    axis.plot([0, 1], [0, 1], color="gray", linestyle=":")
    axis.set_title("better than the defaults")
    axis.set_xlabel("chance told")
    axis.set_ylabel("share indeed")
    axis.legend(fontsize=7)
