"""The state of one sweep as the process that drives it knows and writes it."""

from datetime import UTC, datetime
from typing import Any

from multistage.domain.sweep.state import State
from multistage.settings import Settings
from multistage.store.live_records import note_workers
from multistage.store.sweep_folder import SweepFolder


class Journal:
    """A sweep's ``state.json``, kept in memory and rewritten at every change.

    Its workers are noted apart from the folder, too, so that they can be ended whatever becomes of it.

    Args:
        folder: The sweep's folder.

    Raises:
        FolderError: If it holds no readable state.
    """

    def __init__(self, folder: SweepFolder) -> None:
        self.folder = folder
        self.state = folder.load_state()

    def update(self, **changes: Any) -> State:
        """Change some of the state's fields, in the file too; its time never runs backwards, whatever the clock does.

        Raises:
            FolderError: If the file cannot be written; the old one stays.
        """
        now = max(datetime.now(UTC), self.state.updated_at)
        self.state = self.state.model_copy(update={**changes, "updated_at": now})
        self.folder.write_state(self.state)
        if "workers" in changes:
            note_workers(Settings(), self.folder, self.state.workers)
        return self.state
