"""Notify the user of a sweep, where that was asked for; a message that is not delivered never hurts the sweep."""

from pathlib import Path

from prefect import get_run_logger

from multistage.domain.sweep.plan import RunOptions
from multistage.domain.sweep.state import State
from multistage.errors import ApprovalError, MultistageError
from multistage.report.notices import write_notice
from multistage.services.notices import open_notifier
from multistage.settings import Settings


def check_notices(options: RunOptions) -> None:
    """Refuse a name that nothing has, before anything is begun.

    Raises:
        UsageError: Nothing has the name that was given.
    """
    if options.notify is not None:
        open_notifier(options.notify, Settings())


def notify(state: State, folder: Path, what: str, more: str = "") -> None:
    """Send a message on a sweep to its user; warn where it is not delivered.

    Args:
        state: The sweep, with the name to notify.
        folder: Its folder.
        what: What happened, in a few words.
        more: A sentence on it.
    """
    if state.options.notify is None:
        return
    try:
        open_notifier(state.options.notify, Settings())(*write_notice(state, folder, what, more))
    except MultistageError as error:
        get_run_logger().warning("%s", error)


def notify_end(state: State, folder: Path, error: Exception | None = None) -> None:
    """Send word of a sweep's end: done, ended by its cost cap, stopped by a person or for want of one, or failed."""
    if error is not None:
        notify(state, folder, "stopped" if isinstance(error, ApprovalError) else "failed", str(error))
    else:
        capped = "cost cap" in (state.ended_because or "")
        notify(state, folder, "done, cost cap reached" if capped else "done")
