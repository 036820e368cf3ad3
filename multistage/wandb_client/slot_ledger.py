"""Which run is which slot's, by the run's id: the only name of a run that no training script can change.

A file of JSON lines in the sweep's folder that only grows. A slot is written down before its run is enqueued, and once
more, with the run's id, before the next one is enqueued. So whenever a process is killed, at most one slot has no id.
"""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from pydantic import ValidationError

from multistage.domain.model import Model
from multistage.domain.runs.results import Config
from multistage.domain.runs.slots import SlotName
from multistage.errors import FolderError


class SlotEntry(Model):
    """One attempt at a slot, as it was enqueued."""

    slot: SlotName
    config: Config
    """The swept hyperparameters that the run was enqueued with, whatever its script makes of them."""
    seed: int | None = None
    run_id: str | None = None
    """None where nobody knows yet whether the server has the run."""


class SlotLedger:
    """The slots of one W&B sweep.

    Args:
        path: The file; it need not exist yet.

    Raises:
        FolderError: If the file cannot be read, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, SlotEntry] = {}
        self._names: set[SlotName] = set()
        self.open_entry: SlotEntry | None = None
        """The slot that was written down without its run's id, where there is one."""
        self._size = 0
        for entry in self._load():
            self._take(entry)

    @property
    def entries(self) -> Iterable[SlotEntry]:
        """The entries whose runs are known, oldest first."""
        return self._entries.values()

    @property
    def run_ids(self) -> Collection[str]:
        """The ids of those runs."""
        return self._entries.keys()

    def find(self, run_id: str) -> SlotEntry | None:
        """Find the slot of a run; None where the run is no slot's, as far as is written down."""
        return self._entries.get(run_id)

    def has(self, name: SlotName) -> bool:
        """Return whether an attempt was written down, with its run's id or without."""
        return name in self._names

    def intend(self, name: SlotName, config: Config, seed: int | None) -> SlotEntry:
        """Write down an attempt that is about to be enqueued.

        Raises:
            FolderError: If the file cannot be written; the run must not be enqueued then.
            ValueError: If the attempt before has no run yet.
        """
        if self.open_entry is not None:
            raise ValueError(f"{self.open_entry.slot} has no run yet")
        entry = SlotEntry(slot=name, config=config, seed=seed)
        self._append(entry)
        return entry

    def assign(self, run_id: str) -> SlotEntry:
        """Write down the run of the attempt that is open.

        Raises:
            FolderError: If the file cannot be written.
            ValueError: If none is open.
        """
        if self.open_entry is None:
            raise ValueError(f"no slot waits for run {run_id}")
        entry = self.open_entry.model_copy(update={"run_id": run_id})
        self._append(entry)
        return entry

    def _take(self, entry: SlotEntry) -> None:
        self._names.add(entry.slot)
        if entry.run_id is None:
            self.open_entry = entry
        else:
            self._entries[entry.run_id] = entry
            self.open_entry = None

    def _load(self) -> list[SlotEntry]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise FolderError(f"{self._path} cannot be read: {error.strerror}.", "Make it readable.") from error
        self._size = content.rfind(b"\n") + 1  # what comes after it was cut off by a kill
        try:
            return [SlotEntry.model_validate_json(line) for line in content[: self._size].splitlines()]
        except ValidationError as error:
            raise FolderError(
                f"{self._path} is damaged: {error.errors()[0]['msg']}.",
                "It says which run is which slot's. Restore it, or delete it: runs are then told apart by their names, "
                "unless the training script changed those.",
            ) from error

    def _append(self, entry: SlotEntry) -> None:
        line = entry.model_dump_json().encode() + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(0o600)
            with self._path.open("ab") as file:
                file.truncate(self._size)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FolderError(f"{self._path} cannot be written: {error.strerror}.", "Free some space there.") from error
        self._size += len(line)
        self._take(entry)
