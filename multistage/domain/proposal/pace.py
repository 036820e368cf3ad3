"""How long a whole training takes, and how many a night holds."""

import re
from collections.abc import Mapping, Sequence

from multistage.domain.model import Model
from multistage.domain.proposal.logged_metric import Rows
from multistage.domain.proposal.ranges import is_length
from multistage.domain.runs.results import Value
from multistage.domain.sweep.budget import ADVISED_BUDGET, SMALLEST_BUDGET

NIGHT = 8 * 3600.0
"""Seconds."""
UNKNOWN_BUDGET = 100
"""Runs, where nobody knows how long one takes."""
ROUND = 10
"""Budgets are multiples of it."""
MEMORY_SHARE = 0.8
"""Of a machine's memory that trainings may fill."""

_EPOCH = re.compile(r"(^|[_./-])epochs?([_./-]|$)", re.IGNORECASE)
_STEP = re.compile(r"(^|[_./-])(global_step|steps?|iters?|iterations?|timesteps?|total_timesteps|env_steps?)$",
                   re.IGNORECASE)  # fmt: skip


class Length(Model):
    """How long a script trains, as its config says it."""

    name: str
    value: float


class Pace(Model):
    """How long one whole run takes."""

    seconds: float
    estimated: bool
    """Whether the run was ended before its own end."""


def find_length(values: Mapping[str, Value]) -> Length | None:
    """Find what says how long a training is: epochs before steps, since nobody overlooks those.

    Args:
        values: The usual ones, by the name that is swept or set.
    """
    found = [
        Length(name=name, value=float(value))
        for name, value in values.items()
        if is_length(name) and isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    ]
    return min(found, key=lambda one: (not _EPOCH.search(one.name), one.name), default=None)


def estimate_pace(
    rows: Rows, seconds: float, length: Length | None, *, whole: bool, startup: float = 0.0
) -> Pace | None:
    """Return how long a whole run takes.

    Args:
        rows: What the run logged, with W&B's own ``_runtime`` and ``_step``.
        seconds: How long it ran.
        length: How long it would have.
        whole: Whether it came to its end.
        startup: Seconds of it that every run takes before it trains.

    Returns:
        None where the run was ended early and nothing tells how far it had come.
    """
    if whole:
        return Pace(seconds=seconds, estimated=False)
    share = None if length is None else _measure_progress(rows, length)
    return None if share is None else Pace(seconds=startup + (seconds - startup) / share, estimated=True)


def _measure_progress(rows: Rows, length: Length) -> float | None:
    """Return the share of its length that a run has done."""
    kind = _EPOCH if _EPOCH.search(length.name) else _STEP
    counted = [value for row in rows for key, value in row.items() if kind.search(key) and value > 0]
    done = max(counted, default=0.0)
    return done / length.value if 0 < done <= length.value else None


def count_workers(cores: int, memory: float, peak: float | None) -> int:
    """Count the trainings that a machine is for.

    Args:
        cores: Trainings that its processor or its GPUs allow.
        memory: Bytes that it has.
        peak: Bytes that one training took; None where that is not known.
    """
    return max(1, cores if not peak else min(cores, int(memory * MEMORY_SHARE / peak)))


def choose_budget(pace: Pace | None, workers: int) -> int:
    """Choose how many runs a night holds, as far as more of them still help."""
    if pace is None:
        return UNKNOWN_BUDGET
    runs = int(NIGHT * workers / max(pace.seconds, 1.0)) // ROUND * ROUND
    return min(max(runs, SMALLEST_BUDGET), ADVISED_BUDGET)


def join_names(names: Sequence[str], most: int = 8) -> str:
    """Write a few names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
