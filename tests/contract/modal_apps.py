"""An app on Modal of a test's own, and its deletion with all that its workers noted."""

from collections.abc import Iterator
from contextlib import contextmanager

import modal
import modal.exception
import pytest

from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.modal.app import AppContent, open_notes
from multistage.launchers.modal.launcher import ModalLauncher
from tests.contract.leftovers import name_project

AT_MOST = 2
"""Containers that one check may start."""
TIMEOUT = 600
"""Seconds after which a container ends that nothing else has ended."""


@contextmanager
def own_app(patch: pytest.MonkeyPatch) -> Iterator[str]:
    """Have this process's launchers deploy an app of this name, whatever its content; it is stopped at the end."""
    name = name_project()
    workers: set[str] = set()
    launch = ModalLauncher.launch

    def note(launcher: ModalLauncher, sweep: str, count: int) -> Iterator[WorkerRecord]:
        for record in launch(launcher, sweep, count):
            workers.add(record.worker_id)
            yield record

    patch.setattr(AppContent, "name_app", lambda _: name)
    patch.setattr(ModalLauncher, "launch", note)
    try:
        yield name
    finally:
        stop_app(name)
        forget_workers(workers)
    assert len(workers) <= AT_MOST


def stop_app(name: str) -> None:
    """Stop an app; nothing to do where none was deployed."""
    try:
        app = modal.App.lookup(name)
    except modal.exception.NotFoundError:
        return
    app.stop()


def forget_workers(workers: set[str]) -> None:
    """Delete what workers noted, and what was noted of their cancelling."""
    notes = open_notes()
    for worker_id in workers:
        # The conformance suite cancels one that never was, whose name is longer.
        for key in (worker_id, f"{worker_id} cancelled", f"{worker_id}0 cancelled"):
            notes.pop(key, None)
