"""The driver's own view of the state, under clocks that jump and disks that fill."""

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from multistage.errors import FolderError
from multistage.store.journal import Journal
from multistage.store.sweep_folder import SweepFolder
from tests.states import BEGAN, make_state


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    folder = SweepFolder(tmp_path / "mine")
    folder.write_state(make_state())
    return Journal(folder)


def test_time_never_runs_backwards_in_the_state(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        moment = datetime.now(UTC)

        @classmethod
        def now(cls, _: object = None) -> datetime:  # type: ignore[override]
            return cls.moment

    monkeypatch.setattr("multistage.store.journal.datetime", Clock)
    times: list[datetime] = []
    for jump in (timedelta(), timedelta(days=-400), timedelta(hours=3)):
        Clock.moment += jump
        times.append(journal.update(budget_used=len(times)).updated_at)
    assert times[0] == times[1] > BEGAN
    assert times == sorted(times)
    assert journal.folder.load_state() == journal.state


def test_a_full_disk_is_said_and_leaves_the_last_whole_state(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.update(budget_used=3)

    def fail(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(FolderError, match="No space left on device") as caught:
            journal.update(budget_used=4)
    assert "Free some space" in caught.value.hint
    assert journal.folder.load_state().budget_used == 3
    assert journal.update(budget_used=5) == journal.folder.load_state()
