"""Where trainings print, and what is read from there."""

import os
import re
from pathlib import Path
from typing import IO

from multistage.domain.runs.reasons import find_reason
from multistage.worker.conventions import RUN_LOGS_VARIABLE

ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
"""Colours and cursor movements of terminals."""

NOISE = re.compile(r"wandb:|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (DEBUG|INFO|WARN|ERROR) ")
"""Begins what wandb prints, and its core where there is no home folder for its own log."""

TAIL_SIZE = 20_000
"""Bytes at the end of an output in which its last lines are looked for."""
REASON_LINES = 60
"""Of an output, among which is why its program failed."""


def find_log(run_id: str) -> Path | None:
    """Where a run's output goes; None for the worker's own."""
    folder = os.environ.get(RUN_LOGS_VARIABLE)
    return Path(folder, f"{run_id}.log") if folder else None


def read_last_lines(log: Path | None, count: int = 5) -> list[str]:
    """The end of a training's output, where a traceback names the error; wandb's own lines are left out."""
    return _read_tail(log)[-count:]


def read_reason(log: Path | None) -> str:
    """The one line of a training's output that says why it failed; empty where it printed nothing."""
    return find_reason(_read_tail(log))


def _read_tail(log: Path | None) -> list[str]:
    if log is None or not log.is_file():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_SIZE))
        text = ESCAPES.sub("", file.read().decode(errors="replace"))
    lines = [line.rstrip() for line in text.splitlines()]
    return [line for line in lines if line and not NOISE.match(line)]


class _NoLog:
    """A file that is not one: the process inherits the worker's output."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def open_log(run_id: str) -> "IO[bytes] | _NoLog":
    """Open the run's log for appending, as a resumed run has output already."""
    path = find_log(run_id)
    if path is None:
        return _NoLog()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_private(path)


def open_private(path: Path) -> IO[bytes]:
    """Open a log for appending; one that is made here only its owner reads."""
    path.touch(0o600)
    return path.open("ab")
