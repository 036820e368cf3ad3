"""Which sweeps are being driven, and how one is ended from outside, whatever became of its folder.

Another machine may share the home: its sweeps are listed where they are live, and ended there alone.
"""

import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from multistage.domain.model import Model
from multistage.domain.sweep.state import State
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.driver.launching import has_living_workers, stop_workers
from multistage.driver.roster import end_workers
from multistage.driver.sweep_page import mark_ended
from multistage.errors import MultistageError, ServiceError
from multistage.settings import Settings
from multistage.store.live_records import LiveRecord, forget_sweep, list_records
from multistage.store.sweep_folder import SweepFolder

STOP_TIMEOUT = 20
"""Seconds that a driver has to end its workers and leave."""


class LiveSweep(Model):
    """A sweep with a driver, or with workers that outlived it."""

    folder: Path
    driver: int | None
    """Process id of the driver; None where only workers are left."""
    host: str = ""
    """Where the driver is, if not on this machine."""
    workers: tuple[WorkerRecord, ...] = ()
    """As its state has them, and as was noted apart from it."""
    trouble: str = ""
    """Why its state cannot be read; empty where it can."""


def list_live_sweeps(settings: Settings) -> list[LiveSweep]:
    """List the sweeps that have a driver or workers; forget those of this machine that have neither.

    One that is damaged, moved or gone is listed like the others, by what was noted apart from it.
    """
    live = []
    for record in list_records(settings):
        folder = SweepFolder(record.folder)
        state, trouble = _read_state(folder)
        driver, host = folder.find_driver(), folder.find_driver_host()
        if driver is None:
            driver, host = record.find_driver(), ""
        workers = _unite(record, state)
        if driver is not None or _any_lives(workers, folder.logs):
            live.append(LiveSweep(folder=folder.path, driver=driver, host=host, workers=workers, trouble=trouble))
        elif record.is_here:
            forget_sweep(settings, record)
    return live


def end_sweep(live: LiveSweep) -> None:
    """End a sweep's driver, its workers and their trainings; a resume goes on with it.

    Raises:
        ServiceError: If the driver does not leave, or is on another machine.
        LaunchError: If something survived, or Modal cannot be reached.
        FolderError: If its state cannot be written; its workers have ended.
    """
    if live.host:
        raise ServiceError(
            f"Process {live.driver} on {live.host} drives the sweep in {live.folder}.",
            "End it there: `multistage-sweep down --force`.",
        )
    if live.driver is not None:
        _end_driver(live.driver, live.folder)
    folder = SweepFolder(live.folder)
    stop_workers(live.workers, folder.logs)
    if _read_state(folder)[0] is None:
        return
    with folder.lock():
        state = folder.read_state()
        if state is not None and state.workers:
            changes = {**end_workers(state, folder.logs), "updated_at": datetime.now(UTC)}
            if state.status == "running":
                changes |= {"status": "stopped", "ended_because": "It was ended by force."}
            state = state.model_copy(update=changes)
            folder.write_state(state)
            mark_ended(state)


def _read_state(folder: SweepFolder) -> tuple[State | None, str]:
    try:
        return folder.read_state(), ""
    except MultistageError as error:
        return None, error.message


def _unite(record: LiveRecord, state: State | None) -> tuple[WorkerRecord, ...]:
    """Return a sweep's workers from both places; where both know one, as its state has it."""
    known = {worker.worker_id: worker for worker in record.workers}
    return tuple((known | {one.worker_id: one for one in (state.workers if state else ())}).values())


def _any_lives(workers: Sequence[WorkerRecord], logs: Path) -> bool:
    """Whether any of these lives; where nobody can tell, it counts as living."""
    try:
        return has_living_workers(workers, logs)
    except MultistageError:
        return True


def _end_driver(pid: int, folder: Path) -> None:
    """Ask a driver to end and wait until it has left; as a zombie it has, whenever its parent may look.

    By SIGTERM: a process that a script has put into the background ignores SIGINT.
    """
    deadline = time.monotonic() + STOP_TIMEOUT
    try:
        driver = psutil.Process(pid)
        driver.send_signal(signal.SIGTERM)
        while driver.is_running() and driver.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"Process {pid}, which drives {folder}, did not leave within {STOP_TIMEOUT} s.",
                    f"End it with kill -9 {pid}; then resume the sweep.",
                )
            time.sleep(0.05)
    except psutil.NoSuchProcess:
        return
