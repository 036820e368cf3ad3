"""The sessions that this process has open, and the end of a sweep from any process.

Tasks open the session by the sweep's folder, so that a task may start in whatever process resumes the sweep.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from multistage.driver.launching import keeps_workers
from multistage.driver.roster import end_workers
from multistage.driver.session import Session
from multistage.driver.sweep_page import mark_ended
from multistage.store.sweep_folder import SweepFolder

_sessions: dict[Path, Session] = {}


def open_session(folder: Path) -> Session:
    """Return this process's session of a sweep, opening it at the first call; a dead embedded server is started again.

    Raises:
        FolderError: If the folder holds no readable state.
        ServiceError: If the embedded server does not start.
        LaunchError: If that came back elsewhere, and workers that know its old address cannot be ended.
    """
    folder = folder.absolute()
    if folder in _sessions:
        _sessions[folder].follow_server()
    else:
        _sessions[folder] = Session(SweepFolder(folder))
    return _sessions[folder]


def close_session(folder: Path) -> None:
    """Let go of a sweep; workers and services stay."""
    session = _sessions.pop(folder.absolute(), None)
    if session is not None:
        session.close()


def stop_sweep(
    folder: Path, status: Literal["failed", "stopped"], reason: str, flow_run_id: str | None = None
) -> SweepFolder | None:
    """End a sweep's workers, with every training below them, and note why in its state.

    Needs nothing but the folder, so that any process can do it; done twice, it does nothing more. Where the sweep was
    started with ``--keep-workers``, one that is stopped keeps its containers, for a resume to take up.

    Args:
        folder: The sweep's folder.
        status: What the sweep is then.
        reason: Why.
        flow_run_id: Only if this flow run is the sweep's latest; one that was refused must not end another's workers.

    Returns:
        The sweep's folder, where there was something to stop.
    """
    session = _sessions.get(folder.absolute())
    sweep_folder = session.folder if session else SweepFolder(folder)
    state = session.state if session else sweep_folder.read_state()
    if state is None or state.status == "completed" or flow_run_id not in (None, state.flow_run_id):
        return None
    # Whoever stopped it between two stages has said so already.
    kept = "stopped" if state.status == "stopped" else status
    changes: dict[str, Any] = {"status": kept, "ended_because": state.ended_because or reason[:1000] or None}
    try:
        if not (status == "stopped" and keeps_workers(state.options)):
            changes |= end_workers(state, sweep_folder.logs)
    finally:  # workers that cannot be ended stay noted
        if session:
            session.update_state(**changes)
        else:
            state = state.model_copy(update={**changes, "updated_at": datetime.now(UTC)})
            sweep_folder.write_state(state)
            mark_ended(state)
    return sweep_folder
