"""Which sweeps are being driven on this machine: a list that outlives every process, and one lock a sweep."""

import hashlib
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from multistage.domain.model import Model
from multistage.errors import ServiceError
from multistage.orchestrator.launching import has_living_workers
from multistage.orchestrator.roster import end_workers
from multistage.orchestrator.sweep_folder import SweepFolder, write_atomically
from multistage.settings import Settings

STOP_TIMEOUT = 20
"""Seconds that a driver has to end its workers and leave."""


class LiveSweep(Model):
    """A sweep with a driver, or with workers that outlived it."""

    folder: Path
    driver: int | None
    """Process id of the driver; None where only workers are left."""


def register_sweep(settings: Settings, folder: SweepFolder) -> None:
    """Note that a sweep's folder may be live."""
    name = hashlib.sha256(str(folder.path).encode()).hexdigest()[:16]
    write_atomically(_list(settings) / name, f"{folder.path}\n")


def list_live_sweeps(settings: Settings) -> list[LiveSweep]:
    """List the sweeps that have a driver or workers; forget those that have neither."""
    live = []
    for entry in sorted(_list(settings).glob("[0-9a-f]*")):
        folder = SweepFolder(Path(entry.read_text(encoding="utf-8").strip()))
        driver = folder.find_driver()
        if driver is not None or _has_workers(folder):
            live.append(LiveSweep(folder=folder.path, driver=driver))
        else:
            entry.unlink(missing_ok=True)
    return live


def end_sweep(live: LiveSweep) -> None:
    """End a sweep's driver, its workers and their trainings; a resume goes on with it.

    Raises:
        ServiceError: If the driver does not leave.
    """
    if live.driver is not None:
        _end_driver(live.driver, live.folder)
    folder = SweepFolder(live.folder)
    with folder.lock():
        state = folder.read_state()
        if state is not None and state.workers:
            changes = {**end_workers(state, folder.logs), "updated_at": datetime.now(UTC)}
            if state.status == "running":
                changes |= {"status": "stopped", "ended_because": "It was ended by force."}
            folder.write_state(state.model_copy(update=changes))


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
                    f"End it with kill -9 {pid}; a resume goes on with the sweep.",
                )
            time.sleep(0.05)
    except psutil.NoSuchProcess:
        return


def _has_workers(folder: SweepFolder) -> bool:
    if not folder.state_file.is_file():
        return False
    return has_living_workers(folder.load_state().workers, folder.logs)


def _list(settings: Settings) -> Path:
    return settings.home.absolute() / "sweeps"
