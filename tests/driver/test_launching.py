"""What a launcher says of itself decides what is done with its workers."""

from pathlib import Path

import pytest

from multistage.domain.plan import RunOptions
from multistage.driver.launching import has_living_workers, keeps_workers, stop_workers, tell_workers_fate
from multistage.errors import LaunchError, UsageError
from tests.workers import make_local


def test_only_workers_that_can_be_kept_go_on_when_a_sweep_is_interrupted() -> None:
    local = RunOptions(workers=1, directory=Path("/"), keep_workers=True)
    assert (keeps_workers(local), tell_workers_fate(local)) == (False, "its workers and trainings were ended")
    remote = local.model_copy(update={"launcher": "modal"})
    assert (keeps_workers(remote), tell_workers_fate(remote)) == (True, "its containers go on")
    assert tell_workers_fate(remote, has_failed=True) == "its workers and trainings were ended"
    assert not keeps_workers(remote.model_copy(update={"keep_workers": False}))


def test_workers_whose_launcher_is_not_installed_are_neither_dead_nor_ended(tmp_path: Path) -> None:
    record = make_local("1", 1, 0.0).model_copy(update={"launcher": "elsewhere"})
    for ask in (has_living_workers, stop_workers):
        with pytest.raises(UsageError, match="no launcher 'elsewhere'") as refused:
            ask([record], tmp_path)
        assert "local, modal" in refused.value.hint


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    record = make_local("a-1", 1, 0.0).model_copy(update={"details": {"pid": "x"}})
    with pytest.raises(LaunchError, match="record of worker a-1 is damaged at pid"):
        has_living_workers([record], tmp_path)
