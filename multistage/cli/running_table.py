"""The running trainings and the last that ended, as the live view shows them below its bars."""

import time
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from multistage.domain.durations import format_duration
from multistage.domain.live.summary import LiveSummary, RunSummary
from multistage.domain.runs.results import Value
from multistage.errors import ServiceError
from multistage.report.banner import format_number
from multistage.services.sweep_pages import SweepPage, find_sweep_page
from multistage.settings import Settings

EVERY = 2.0
"""Seconds between two readings of a sweep's page."""
MOST_RUNNING = 8
"""Running trainings that are shown, the newest."""
MOST_ENDED = 3
"""Ended ones."""


class PageReader:
    """Reads what a sweep's page was told, now and then; a page that cannot be read is none.

    Args:
        settings: Where the services' folders are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._page: SweepPage | None = None
        self._summary: LiveSummary | None = None
        self._read_at = -EVERY

    def read(self, uid: str) -> LiveSummary | None:
        """Read the newest summary, at most every `EVERY` seconds.

        Args:
            uid: The sweep.
        """
        now = time.monotonic()
        if now - self._read_at < EVERY:
            return self._summary
        try:
            self._page = self._page or find_sweep_page(self._settings, uid)
            self._summary = self._page.read() if self._page else None
        except ServiceError:
            self._page = self._summary = None  # as the driver warns
        self._read_at = time.monotonic()
        return self._summary


def count_starting(summary: LiveSummary, stage: int) -> int:
    """Count the runs of a stage that a worker has, and that have not begun to log."""
    found = next(one for one in summary.stages if one.stage == stage)
    return max(0, min(found.queued, (summary.present or 0) - found.running))


def draw_runs(summary: LiveSummary, now: datetime | None = None) -> Table:
    """Draw the running trainings and the last that ended.

    Args:
        summary: Of the sweep.
        now: The time; by default this moment.
    """
    at = (now or datetime.now(UTC)).timestamp()
    running = sorted((run for run in summary.runs if run.phase == "active"), key=lambda run: -(run.began or at))
    ended = [run for run in summary.runs if run.phase not in ("active", "queued")]
    ended.sort(key=lambda run: -(run.heard or 0))
    rows = [_list_cells(run, at) for run in running[:MOST_RUNNING]]
    if len(running) > MOST_RUNNING:
        rows.append(("", "", "", f"and {len(running) - MOST_RUNNING} more"))
    dim = len(rows)
    rows += [_list_cells(run, at) for run in ended[:MOST_ENDED]]
    table = Table.grid(padding=(0, 2))
    for place in range(3):
        widest = max((len(row[place]) for row in rows), default=0)
        table.add_column(no_wrap=True, min_width=widest, justify="right" if place else "left")
    table.add_column(no_wrap=True, overflow="ellipsis")
    for number, row in enumerate(rows):
        table.add_row(*(Text(cell, "dim" if number >= dim else "", overflow="ellipsis") for cell in row))
    return table


def _list_cells(run: RunSummary, at: float) -> tuple[str, str, str, str]:
    """List a run's name, its last value, how long it has trained, and its config."""
    is_running = run.phase == "active"
    lasted = "" if run.began is None else format_duration(max(0.0, (at if is_running else run.heard or at) - run.began))
    value = format_number(run.value) if run.value is not None else "" if is_running else run.phase
    config = ", ".join(f"{name}={_shorten(one)}" for name, one in run.config.items())
    return run.name, value, lasted, config


def _shorten(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
