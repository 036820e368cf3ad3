"""Finished runs as the tracker told them, kept in the sweep's folder so that a resume need not read them all again.

A cache and never the truth: whatever changed since is read from the tracker, and where the tracker counts other runs
than were found so, all of them are.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from multistage.domain.model import Model
from multistage.domain.runs.slots import RunRecord
from multistage.errors import FolderError


class Batch(Model):
    """A line of the file: runs that were found finished by one look.

    Args:
        cursor: Latest heartbeat that the tracker had told by then.
        runs: The runs.
    """

    cursor: str
    runs: tuple[RunRecord, ...]


def read_logged(path: Path) -> set[str]:
    """Read which keys archived runs have logged; see `read_finished`."""
    return {key for run in read_finished(path) for key in run.logged}


def read_finished(path: Path) -> list[RunRecord]:
    """Read archived runs; leaves the file as it is, since another process may be writing it."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    runs: dict[str, RunRecord] = {}
    for line in lines:
        try:
            runs |= {run.run_id: run for run in Batch.model_validate_json(line).runs}
        except ValidationError:  # cut off, or of another release: it costs only what it would have told
            continue
    return list(runs.values())


class RunArchive:
    """The finished runs of one W&B sweep, a file of JSON lines that only grows.

    Args:
        path: The file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> tuple[dict[str, RunRecord], str | None]:
        """Read the runs by id, and the cursor from which on the tracker must be asked; nothing from a damaged file."""
        records: dict[str, RunRecord] = {}
        cursor: str | None = None
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return records, cursor
        whole = content.rfind(b"\n") + 1
        if whole < len(content):  # the writer was killed in the middle of a line
            os.truncate(self._path, whole)
        for line in content[:whole].splitlines():
            try:
                batch = Batch.model_validate_json(line)
            except ValidationError:
                self._path.unlink()
                return {}, None
            records |= {run.run_id: run for run in batch.runs}
            cursor = batch.cursor
        return records, cursor

    def add(self, runs: Sequence[RunRecord], cursor: str) -> None:
        """Append the finished ones among the runs.

        Raises:
            FolderError: If the file cannot be written.
        """
        finished = tuple(run for run in runs if run.phase == "finished")
        if not finished:
            return
        # pydantic's own JSON makes a null of NaN, and whoever diverged has not logged nothing.
        line = json.dumps(Batch(cursor=cursor, runs=finished).model_dump(), default=str).encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(0o600)
            with self._path.open("ab") as file:
                file.write(line + b"\n")
        except OSError as error:
            raise FolderError(f"{self._path} cannot be written: {error.strerror}.", "Free some space there.") from error
