"""The running trainings and the last that ended, as the live view shows them below its bars."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
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

MORE = "..."
"""Stands for the parameters that do not fit."""


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


def count_starting(present: int | None, running: int, queued: int) -> int:
    """Count the runs that a worker has, and that have not begun to log.

    Args:
        present: Workers that are there, as the sweep's page was told; None where that is not known.
        running: Runs that train.
        queued: Runs that wait, those included.
    """
    return max(0, min(queued, (present or 0) - running))


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
        rows.append(("", "", "", [f"and {len(running) - MOST_RUNNING} more"]))
    dim = len(rows)
    rows += [_list_cells(run, at) for run in ended[:MOST_ENDED]]
    table = Table.grid(padding=(0, 2))
    for place in range(3):
        widest = max((len(row[place]) for row in rows), default=0)
        table.add_column(no_wrap=True, min_width=widest, justify="right" if place else "left")
    table.add_column()
    for number, (*cells, config) in enumerate(rows):
        style = "dim" if number >= dim else ""
        table.add_row(*(Text(cell, style) for cell in cells), Assignments(config, style))
    return table


class Assignments:
    """A config in a line: as many of its parameters as fit whole, and a sign that there are more.

    Args:
        words: The parameters, each with its value.
        style: How they are drawn.
    """

    def __init__(self, words: Sequence[str], style: str = "") -> None:
        self._words = words
        self._style = style

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Take what there is, up to the whole."""
        whole = cell_len(", ".join(self._words))
        return Measurement(min(whole, len(MORE)), whole).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        every = range(len(self._words), -1, -1)
        texts = [", ".join((*self._words[:count], *([MORE] if count < len(self._words) else []))) for count in every]
        text = next((text for text in texts if cell_len(text) <= options.max_width), "")
        yield Text(text, self._style)


def _list_cells(run: RunSummary, at: float) -> tuple[str, str, str, Sequence[str]]:
    """List a run's name, its last value, how long it has trained, and its config."""
    is_running = run.phase == "active"
    lasted = "" if run.began is None else format_duration(max(0.0, (at if is_running else run.heard or at) - run.began))
    value = format_number(run.value) if run.value is not None else "" if is_running else run.phase
    return run.name, value, lasted, [f"{name}={_shorten(one)}" for name, one in run.config.items()]


def _shorten(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
