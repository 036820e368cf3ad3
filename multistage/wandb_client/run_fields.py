"""Single fields of a run as W&B's client gives them: numbers, times, the metric."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from multistage.domain.values import is_finite

LATEST = 1e11
"""No time of a run lies after it, in Unix seconds: the year 5138."""


def read_metric(summary: Mapping[str, Any], metric: str, goal: str) -> float | None:
    """Read a metric from a run's summary.

    A metric's name may be one flat key with slashes or dots, or a path into nested dicts. Where the training asked for
    another summary (`define_metric`), the entry is a dict such as ``{"min": 0.1}``: the goal's own end is taken, else
    the last, else whichever there is. W&B writes NaN and infinities as strings.
    """
    found: Any = summary.get(metric)
    if found is None:
        found = summary
        for part in metric.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, Mapping):
        end = "max" if goal == "maximize" else "min"
        found = next((found[key] for key in (end, "last", "best", "mean", "min", "max") if key in found), None)
    if isinstance(found, str) and found in ("NaN", "Infinity", "-Infinity"):
        return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}[found]
    return read_number(found)


def read_number(value: Any) -> float | None:
    """Read a number; None for anything else, True and False included. What no float holds is infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isinstance(value, float) or is_finite(value) else math.copysign(math.inf, value > 0 or -1)


def list_logged(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """List the keys that a run has logged, W&B's own left out."""
    return tuple(sorted(key for key in summary if not key.startswith("_")))


def find_beginning(summary: Mapping[str, Any], heartbeat_at: datetime | None, runtime: float | None) -> datetime | None:
    """Tell when a training began: bundled trainers say so; else the last sign of life less W&B's whole seconds."""
    first_step = read_number(summary.get("time/first_step"))
    if first_step is not None and abs(first_step) < LATEST:
        return datetime.fromtimestamp(first_step, UTC)
    if heartbeat_at is None or runtime is None:
        return None
    return heartbeat_at - timedelta(seconds=runtime)


def parse_time(text: str | None) -> datetime | None:
    """Read one of the server's times; one without a zone is in UTC."""
    if not text:
        return None
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def write_cutoff(text: str) -> str:
    """Write one of the server's times as a filter takes it: W&B's index matches nothing where the ``Z`` is missing."""
    zoned = text.endswith("Z") or "+" in text[10:] or "-" in text[10:]
    return text if zoned else f"{text}Z"
