"""Tables for the terminal: a sweep's state, all sweeps."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from multistage.domain.sweep.state import State
from multistage.errors import FolderError
from multistage.report.banner import describe_recommendation, format_config, format_number
from multistage.report.costs import describe_cost
from multistage.store.sweep_folder import SweepFolder, join_places


def draw_state(
    state: State, folder: SweepFolder, driver: int | None = None, called: str = "", resume: str = ""
) -> Group:
    """Draw where one sweep stands.

    Args:
        state: Its state.
        folder: Its folder.
        driver: The process that drives it; None where none does, so that a running sweep has lost it.
        called: The sweep as a command takes it; its folder where none is given.
        resume: The command that resumes it; the folder's own where none is given.

    Returns:
        What wraps between words, but for lines with a link or a command: printed with ``soft_wrap`` these stay whole.
    """
    table = Table()
    for column in ("stage", "search", "runs", "failed", "lost", "best", "best config"):
        table.add_column(column, overflow="fold")
    for record in state.stages_completed:
        table.add_row(
            str(record.stage),
            record.method,
            str(record.runs_completed),
            str(record.runs_failed),
            str(record.attempts_lost),
            format_number(record.best_metric),
            escape(format_config(record.best_config)),
        )
    now = state.current_stage
    if now is not None:
        runs = f"{now.used}/{now.runs}, {now.running} running"
        interim = f"{escape(format_config(now.best_config))} (interim)" if now.best_config else ""
        table.add_row(str(now.stage), state.plan[now.stage - 1].method, runs, str(now.failed), str(now.attempts_lost),
                      format_number(now.best_metric), interim)  # fmt: skip
    asked = state.pending_approval
    waits = f"Stage {asked.stage} waits for you: press Resume at {asked.url}" if asked else ""
    lines = [
        _wrap(
            f"{state.name}: {state.status}"
            + (", but its driver is gone" if state.status == "running" and driver is None else "")
            + (f" ({state.ended_because})" if state.ended_because else "")
            + f", {state.budget_used} of {state.total_budget} runs"
        ),
        *([Text(f"Sweep: {now.sweep_url}")] if now and now.sweep_url else []),
        *([Text(f"Prefect: {state.prefect_url}")] if state.prefect_url else []),
        *([_wrap(f"Workers: {now.waiting}")] if now and now.waiting else []),
        *map(_wrap, describe_cost(state)),
        *([Text(f"{waits}, or `multistage-sweep approve {called or folder.shell_path}`")] if asked else []),
    ]
    ends = [_wrap(f"Best metric: {format_number(state.best_metric)} with {format_config(state.best_config)}")]
    if state.recommended:
        described = describe_recommendation(state)
        ends.append(_wrap(f"Recommended: {format_config(state.recommended.config)}, {described}"))
    elif state.status != "running" or driver is None:
        ends.append(Text(f"Resume with: {resume or folder.resume_command}"))
    return Group(*lines, table, *ends)


def _wrap(line: str) -> Text:
    return Text(line, no_wrap=False, overflow="fold")


def draw_sweeps(sweeps: Sequence[tuple[SweepFolder, State | FolderError]], runs_dirs: Sequence[Path]) -> Table | Text:
    """Draw a line for each sweep of some folders, also for one whose state cannot be read."""
    if not sweeps:
        return Text(f"There is no sweep in {join_places(runs_dirs)} yet.")
    table = Table()
    for column in ("sweep", "status", "runs", "best", "updated"):
        table.add_column(column, overflow="fold")
    for folder, state in sweeps:
        if isinstance(state, FolderError):
            table.add_row(escape(folder.name), escape(str(state)))
            continue
        table.add_row(
            escape(folder.name),
            state.status,
            f"{state.budget_used}/{state.total_budget}",
            format_number(state.best_metric),
            f"{state.updated_at.astimezone():%Y-%m-%d %H:%M}",
        )
    return table
