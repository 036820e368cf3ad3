"""How many runs each stage has."""

import re
from typing import Self

from pydantic import model_validator

from multistage.domain.model import Model
from multistage.errors import BudgetError

SMALLEST_BUDGET = 10
"""Below this a stage would have fewer runs than narrowing needs to see."""
ADVISED_BUDGET = 300
"""Below this the guide finds that stages are too short to narrow well."""


class Split(Model):
    """The stages' shares of the budget, in percent; ``str()`` gives the option's text back."""

    shares: tuple[int, int, int] = (30, 50, 20)

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        if sum(self.shares) != 100:
            raise ValueError(f"The shares {self} sum to {sum(self.shares)}, not to 100.")
        if min(self.shares) < 1:
            raise ValueError(f"The shares {self} leave a stage without runs.")
        return self

    def __str__(self) -> str:
        return "/".join(map(str, self.shares))


def parse_split(text: str) -> Split:
    """Read ``30/50/20``.

    Raises:
        BudgetError: It is not three whole numbers above 0 that sum to 100.
    """
    hint = "Give three whole percentages that sum to 100, such as 30/50/20."
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*/\s*(\d+)\s*", text)
    if found is None:
        raise BudgetError(f"{text!r} is not a split of a budget.", hint)
    shares = int(found[1]), int(found[2]), int(found[3])
    try:
        return Split(shares=shares)
    except ValueError:
        total = sum(shares)
        reason = f"sums to {total}, not to 100" if total != 100 else "leaves a stage without runs"
        raise BudgetError(f"The split {text.strip()} {reason}.", hint) from None


def check_budget(total: int) -> None:
    """Refuse a budget that is too small for three stages.

    Raises:
        BudgetError: It is.
    """
    if total < SMALLEST_BUDGET:
        raise BudgetError(
            f"A budget of {total} runs is too small for three stages.",
            f"Give at least {SMALLEST_BUDGET}; {ADVISED_BUDGET} or more narrow well.",
        )


def split_budget(total: int, split: Split) -> tuple[int, int, int]:
    """The runs of each stage, by largest remainder: they sum to ``total``; from 10 on no stage is empty."""
    runs = [total * share // 100 for share in split.shares]
    by_remainder = sorted(range(3), key=lambda stage: -(total * split.shares[stage] % 100))
    for stage in by_remainder[: total - sum(runs)]:
        runs[stage] += 1
    while total >= SMALLEST_BUDGET and 0 in runs:
        runs[runs.index(max(runs))] -= 1
        runs[runs.index(0)] += 1
    return runs[0], runs[1], runs[2]


def count_finalists(total: int) -> int:
    """Runs that train contenders again on fresh seeds: none up to 50, 12% from 150 on, linear in between.

    Replication was measured to hurt at 50 runs and to pay from 150 on.
    """
    return round(0.12 * total) if total >= 150 else max(0, round(0.18 * (total - 50)))


def bound_workers(usual: int, total: int, split: Split) -> int:
    """A usual number of workers, of which none would have nothing to do: no more than the largest stage has runs."""
    return min(usual, max(split_budget(total, split)))


def parse_finalists(text: str, total: int, stage3_runs: int) -> int:
    """Read ``auto``, a number of runs or a share of the whole budget (``12%``).

    Args:
        text: The option.
        total: The whole budget, in runs.
        stage3_runs: The runs of stage 3, of which the finalists are the last.

    Returns:
        A number of runs; ``auto`` takes at most two thirds of stage 3, so that its search is never starved.

    Raises:
        BudgetError: The text is none of these, or asks for more than stage 3 has.
    """
    if text == "auto":
        return min(count_finalists(total), stage3_runs * 2 // 3)
    found = re.fullmatch(r"(\d+)(%?)", text.strip())
    if found is None:
        raise BudgetError(
            f"{text!r} is not a number of finalist runs.",
            "Use `auto`, a number such as 20, or a share such as 12%.",
        )
    count = round(total * int(found[1]) / 100) if found[2] else int(found[1])
    if count > stage3_runs:
        raise BudgetError(
            f"{count} finalist runs are more than the {stage3_runs} runs of stage 3, which they are part of.",
            "Ask for fewer, or give stage 3 a larger share with `--split`.",
        )
    return count
