"""What the terminal shows while a sweep runs: its ``state.json``, and below it the trainings of the sweep's page."""

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from multistage.cli.page_line import print_page
from multistage.cli.prose import print_prose
from multistage.cli.running_table import PageReader, count_starting, draw_runs
from multistage.domain.durations import format_duration
from multistage.domain.live.summary import LiveSummary
from multistage.domain.sweep.state import State
from multistage.report.banner import format_number
from multistage.report.story import describe_stage_end, describe_stage_start
from multistage.report.tables import draw_state
from multistage.request.resume_line import write_name, write_resume
from multistage.settings import Settings
from multistage.store.sweep_folder import SweepFolder

REFRESH = 0.5
"""Seconds between two looks at the state."""
LINE_EVERY = 30.0
"""Seconds between two lines of progress where there is no terminal."""

WIDE, WIDE_BAR, NARROW_BAR = 100, 30, 12
"""Columns from which on a terminal is wide, and those of a stage's bar on a wide one and on others."""


class LiveView:
    """Shows a sweep's progress until the context ends: a view that redraws itself, or plain lines without a terminal.

    Args:
        folder: The sweep's folder.
        console: Where to show it.
    """

    def __init__(self, folder: SweepFolder, console: Console) -> None:
        self._folder = folder
        self._console = console
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="live view", daemon=True)
        self._began: tuple[float, int] | None = None
        """When the first run was seen to train, and how many runs were done by then."""
        self._stages_told: set[tuple[int, datetime]] = set()
        """The stages that were told, with their ends; a resume may open one again, which then ends once more."""
        self._begun_told = 0
        self._asked_for = 0
        self._line_at = 0.0
        self._line_told = 0, ""
        self._page_told = False
        self._begun_at = datetime.now(UTC)
        self._reader = PageReader(Settings())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        if not self._console.is_terminal:
            while not self._ended.wait(REFRESH):
                self._print_news(self._folder.read_state())
            self._print_news(self._folder.read_state())
            return
        with Live(console=self._console, refresh_per_second=4, transient=True) as live:
            while not self._ended.wait(REFRESH):
                state = self._folder.read_state()
                if state is not None:
                    self._print_stages(state)
                    live.update(self._draw(state, self._reader.read(state.uid) if state.page_url else None))
        state = self._folder.read_state()
        if state is not None:
            self._print_stages(state)

    def _print_news(self, state: State | None) -> None:
        if state is None:
            return
        self._print_stages(state)
        current = state.current_stage
        if current is None:
            return
        if current.stage > self._begun_told:
            self._begun_told = current.stage
            self._console.print(describe_stage_start(state, current), highlight=False, soft_wrap=True, markup=False)
        now = time.monotonic()
        told = current.used, current.waiting
        if told != self._line_told and now - self._line_at >= LINE_EVERY:
            self._line_at, self._line_told = now, told
            self._console.print(describe_progress(state, self._estimate(state)), highlight=False)

    def _print_stages(self, state: State) -> None:
        self._print_page(state)
        pending = state.pending_approval
        if pending is not None and pending.stage > self._asked_for:
            self._asked_for = pending.stage
            until = f" until {pending.until.astimezone():%H:%M:%S}" if pending.until else ""
            self._console.print(
                f"Stage {pending.stage} waits for you{until}: press Resume at {pending.url}, "
                f"or run `multistage-sweep approve {write_name(self._folder)}`",
                highlight=False,
                soft_wrap=True,
                markup=False,
            )
        if state.status == "completed" and not self._ended.is_set():
            return  # as it was before a resume took it up
        for record in state.stages_completed:
            if (record.stage, record.ended_at) in self._stages_told:
                continue
            self._stages_told.add((record.stage, record.ended_at))
            print_prose(self._console, describe_stage_end(record))
            for note in record.narrowing:
                print_prose(self._console, f"  {note.evidence}")

    def _print_page(self, state: State) -> None:
        """Say where the sweep's page is, once its driver has said so."""
        if state.page_url and not self._page_told and state.updated_at > self._begun_at:
            self._page_told = True
            print_page(self._console, state.uid)

    def _estimate(self, state: State) -> float | None:
        """Estimate the seconds left from the pace so far; None before a run has ended, or while a person is asked."""
        if state.pending_approval is not None:
            return None
        now = time.monotonic()
        if self._began is None:
            if state.current_stage is not None and state.current_stage.running:
                self._began = now, state.budget_used
            return None
        since, used = self._began
        done = state.budget_used - used
        return (now - since) / done * (state.total_budget - state.budget_used) if done > 0 else None

    @property
    def _is_narrow(self) -> bool:
        return self._console.width < WIDE

    def _draw(self, state: State, summary: LiveSummary | None = None) -> Group:
        table = Table.grid(padding=(0, 2))
        completed = {record.stage: record for record in state.stages_completed}
        current = state.current_stage
        for plan in state.plan:
            record = completed.get(plan.stage)
            if record is not None:
                used, note, best = record.runs_completed, "done", record.best_metric
            elif current is not None and current.stage == plan.stage:
                used, best = current.used, current.best_metric
                starting = count_starting(summary.present if summary else None, current.running, current.queued)
                note = f"{current.running} running, "
                note += f"{starting} starting, " if starting else ""
                note += f"{max(0, current.queued - starting)} queued"
                note += f", {current.failed} failed" if current.failed else ""
            else:
                used, note, best = 0, plan.method, None
            table.add_row(
                f"Stage {plan.stage}",
                ProgressBar(total=plan.runs, completed=used, width=NARROW_BAR if self._is_narrow else WIDE_BAR),
                f"{used}/{plan.runs}",
                Text(note),
                f"best {format_number(best)}" if best is not None else "",
            )
        left = self._estimate(state)
        rest = f", about {format_duration(left)} left" if left is not None else ""
        waits = f"\n{current.waiting}" if current is not None and current.waiting else ""
        told = Text(f"{state.budget_used} of {state.total_budget} runs{rest}{waits}")
        return Group(table, told) if summary is None else Group(table, told, draw_runs(summary))


def watch_sweep(folder: SweepFolder, console: Console) -> None:
    """Show a sweep that another process drives, until none does or Ctrl+C.

    Args:
        folder: The sweep's.
        console: A terminal.
    """
    reader, pause = PageReader(Settings()), threading.Event()
    commands = write_name(folder), write_resume(folder)
    with suppress(KeyboardInterrupt), Live(console=console, refresh_per_second=4) as live:
        while True:
            state, driver = folder.load_state(), folder.find_driver()
            summary = reader.read(state.uid) if driver is not None else None
            shown = draw_state(state, folder, driver, *commands)
            live.update(Group(shown, draw_runs(summary)) if summary else shown)
            if driver is None:
                return
            pause.wait(REFRESH)


def describe_progress(state: State, seconds_left: float | None) -> str:
    """Write the running stage's progress in a line."""
    current = state.current_stage
    if current is None:
        return f"{state.budget_used} of {state.total_budget} runs"
    line = f"Stage {current.stage}: {current.used}/{current.runs} runs, {current.running} running"
    if current.failed:
        line += f", {current.failed} failed"
    if current.waiting:
        line += f"; {current.waiting}"
    if current.best_metric is not None:
        line += f", best {format_number(current.best_metric)}"
    if seconds_left is not None:
        line += f", about {format_duration(seconds_left)} left"
    return line
