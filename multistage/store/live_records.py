"""What is kept of each live sweep apart from its folder, so that it can be ended when its state cannot be read.

One file per sweep in ``MULTISTAGE_HOME/sweeps``: where the sweep lies, who drives it, and its workers.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from multistage.domain.model import Model
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.machines import describe_machine, is_here
from multistage.pids import find_living
from multistage.process_starts import read_start
from multistage.settings import Settings
from multistage.store.sweep_folder import SweepFolder, write_atomically


class Driver(Model):
    """A process that drives a sweep."""

    pid: int
    process_started_at: float
    """As `read_start` told it: with the pid it names one process of a machine for ever."""
    machine: str = ""
    """As `describe_machine` told it; empty where it was written before this was noted."""


class LiveRecord(Model):
    """What is known of a sweep without its folder."""

    folder: Path
    driver: Driver | None = None
    workers: tuple[WorkerRecord, ...] = ()

    @property
    def is_here(self) -> bool:
        """Whether the sweep is, or was, driven on this machine, which alone can tell what became of it."""
        return self.driver is None or is_here(self.driver.machine)

    def find_driver(self) -> int | None:
        """Find the driver's process on this machine, also where its folder, and the lock in it, was moved away.

        None if it has left, or is on another machine.
        """
        if self.driver is None or not self.is_here:
            return None
        driver = find_living(self.driver.pid, self.driver.process_started_at)
        return driver.pid if driver else None


def register_sweep(settings: Settings, folder: SweepFolder) -> None:
    """Note that this process drives the sweep in a folder.

    Raises:
        FolderError: If its state cannot be read, or the note cannot be written.
    """
    state = folder.read_state()
    driver = Driver(pid=os.getpid(), process_started_at=read_start(os.getpid()), machine=describe_machine())
    _write(settings, LiveRecord(folder=folder.path, driver=driver, workers=state.workers if state else ()))


def note_workers(settings: Settings, folder: SweepFolder, workers: Sequence[WorkerRecord]) -> None:
    """Note the workers of a sweep that is registered; of no other.

    Raises:
        FolderError: If the note cannot be written.
    """
    record = _read(locate_record(settings, folder.path))
    if record is not None:
        _write(settings, record.model_copy(update={"workers": tuple(workers)}))


def list_records(settings: Settings) -> Iterator[LiveRecord]:
    """List what is known of the sweeps that were registered; a file that says nothing is removed."""
    for path in sorted(_list(settings).glob("[0-9a-f]*")):
        record = _read(path)
        if record is None:
            path.unlink(missing_ok=True)
        else:
            yield record


def forget_sweep(settings: Settings, record: LiveRecord) -> None:
    """Forget a sweep that has ended, unless another driver has registered it since its record was read."""
    path = locate_record(settings, record.folder)
    if _read(path) == record:
        path.unlink(missing_ok=True)


def _read(path: Path) -> LiveRecord | None:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if text.startswith("/"):  # as releases up to 0.1 wrote it: the folder alone
        return LiveRecord(folder=Path(text))
    try:
        return LiveRecord.model_validate_json(text)
    except ValidationError:
        return None


def _write(settings: Settings, record: LiveRecord) -> None:
    write_atomically(locate_record(settings, record.folder), record.model_dump_json() + "\n")


def locate_record(settings: Settings, folder: Path) -> Path:
    """Where the record of a sweep's folder lies."""
    return _list(settings) / hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def _list(settings: Settings) -> Path:
    return settings.home.absolute() / "sweeps"
