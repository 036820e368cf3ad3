"""Single fields of a run as W&B's client gives them: its times, and what it has logged."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from multistage.domain.runs.metric import read_logged_number

LATEST = 1e11
"""No time of a run lies after it, in Unix seconds: the year 5138."""


def list_logged(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """List the keys that a run has logged, W&B's own left out."""
    return tuple(sorted(key for key in summary if not key.startswith("_")))


def find_beginning(summary: Mapping[str, Any], heartbeat_at: datetime | None, runtime: float | None) -> datetime | None:
    """Return when a training began: bundled trainers say so; else the last sign of life less W&B's whole seconds."""
    first_step = read_logged_number(summary.get("time/first_step"))
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
