"""A sweep's runs as rows, for tables, files and other tools."""

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, assert_never

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from multistage.domain.model import Model
from multistage.domain.runs.results import Config
from multistage.domain.runs.slots import Slot, SlotName, count_attempts, settle_slots
from multistage.errors import UsageError
from multistage.report.banner import format_config, format_number
from multistage.report.data import ReportData

ExportFormat = Literal["table", "csv", "json", "parquet"]
PLAIN_WIDTH = 160
"""Columns of a table in a file."""


class RunRow(Model):
    """One slot of the budget, as the run that settled it, or is to settle it, has it."""

    stage: int
    slot: int
    """Its index in the stage."""
    run_id: str
    state: str
    """finished, stopped (early), failed, active or queued."""
    value: float | None
    """The metric by ``--metric-value``; None for a failed run and for one that has not ended."""
    config: Config
    seed: int | None
    finalist: bool
    """Whether it trained a contender again, on a fresh seed."""
    attempts: int
    """Runs that it took; more than 1 where the machine lost some."""
    began_at: datetime | None
    seconds: float | None
    """That it trained."""
    worker: str | None
    error: str


def list_rows(data: ReportData) -> list[RunRow]:
    """List the slots of all stages, by stage and index."""
    attempts = count_attempts(data.state.settings.proposer == "ours", data.state.options.resumable)
    stages = sorted({run.name.stage for run in data.runs})
    slots = (settle_slots((run for run in data.runs if run.name.stage == stage), attempts) for stage in stages)
    return [_make_row(slot) for stage in slots for slot in stage.values()]


def _make_row(slot: Slot) -> RunRow:
    run = slot.decisive if slot.status == "used" else slot.last
    return RunRow(
        stage=run.name.stage,
        slot=slot.index,
        run_id=run.run_id,
        state=slot.outcome or run.phase,
        value=run.value if slot.outcome in ("finished", "stopped") else None,
        config=run.config,
        seed=run.seed,
        finalist=run.finalist,
        attempts=len(slot.attempts),
        began_at=run.began_at,
        seconds=run.runtime,
        worker=run.worker,
        error=run.error,
    )


def flatten_row(row: RunRow) -> dict[str, Any]:
    """Return a row without its levels: hyperparameters as ``config.NAME``."""
    flat = row.model_dump()
    config: Mapping[str, Any] = flat.pop("config")
    before = {key: flat.pop(key) for key in ("stage", "slot", "run_id", "state", "value")}
    return {**before, **{f"config.{name}": value for name, value in config.items()}, **flat}


def write_rows(rows: Sequence[RunRow], how: ExportFormat, output: Path | None, console: Console) -> None:
    """Write rows to a file, or else to the standard output.

    Args:
        rows: As `list_rows` gives them.
        how: The format.
        output: The file; a parquet file cannot do without.
        console: Draws the table; it writes to the standard output.

    Raises:
        UsageError: The file cannot be written, or what writes parquet is not installed.
    """
    try:
        match how:
            case "parquet":
                assert output is not None  # noqa: S101 - as the command line has checked
                _write_parquet(rows, output)
            case "table" if output is None:
                console.print(draw_rows(rows))
            case _ if output is None:
                sys.stdout.write(format_rows(rows, how))
            case _:
                output.write_text(format_rows(rows, how))
    except OSError as error:
        if output is None:
            raise
        raise UsageError(f"{output} cannot be written: {error.strerror}.", "Name another file.") from error


def format_rows(rows: Sequence[RunRow], how: Literal["table", "csv", "json"]) -> str:
    """Write rows as text: a table, CSV with a header, or a JSON array in which NaN and infinities are null."""
    match how:
        case "json":
            return json.dumps([json.loads(row.model_dump_json()) for row in rows], indent=2) + "\n"
        case "csv":
            return _format_csv([flatten_row(row) for row in rows])
        case "table":
            console = Console(file=io.StringIO(), width=PLAIN_WIDTH)
            with console.capture() as captured:
                console.print(draw_rows(rows))
            return captured.get()
        case _:
            assert_never(how)


def _format_csv(flat: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(column for row in flat for column in row), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def draw_rows(rows: Sequence[RunRow]) -> Table:
    """Draw rows for the terminal."""
    table = Table()
    for column in ("run", "state", "value", "config", "seconds", "run id"):
        table.add_column(column, overflow="fold", justify="right" if column in ("value", "seconds") else "left")
    for row in rows:
        again = f" (attempt {row.attempts})" if row.attempts > 1 else ""
        seconds = "" if row.seconds is None else f"{row.seconds:.0f}"
        table.add_row(
            f"{SlotName(stage=row.stage, index=row.slot)}{again}",
            row.state,
            "" if row.value is None else format_number(row.value),
            escape(format_config(row.config)),
            seconds,
            row.run_id,
        )
    return table


def _write_parquet(rows: Sequence[RunRow], path: Path) -> None:
    try:
        import pandas
        import pyarrow  # noqa: F401 - what pandas writes with
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Parquet needs {error.name}, which is not installed.", "Install multistage-sweep[pandas], or take csv."
        ) from error
    pandas.DataFrame([flatten_row(row) for row in rows]).to_parquet(path, index=False)
