"""What a launcher says of itself decides what is done with its workers."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from multistage.domain.sweep.plan import RunOptions
from multistage.driver.launching import describe_workers_left, has_living_workers, keeps_workers, stop_workers
from multistage.errors import LaunchError, UsageError
from tests.workers import make_local


def test_only_workers_that_can_be_kept_go_on_when_a_sweep_is_interrupted() -> None:
    local = RunOptions(workers=1, directory=Path("/"), keep_workers=True)
    assert (keeps_workers(local), describe_workers_left(local)) == (False, "its workers and trainings were ended")
    remote = local.model_copy(update={"launcher": "modal"})
    assert (keeps_workers(remote), describe_workers_left(remote)) == (True, "its containers go on")
    assert describe_workers_left(remote, has_failed=True) == "its workers and trainings were ended"
    assert not keeps_workers(remote.model_copy(update={"keep_workers": False}))


def test_workers_whose_launcher_is_not_installed_are_neither_dead_nor_ended(tmp_path: Path) -> None:
    record = make_local("1", 1, 0.0).model_copy(update={"launcher": "elsewhere"})
    for ask in (has_living_workers, stop_workers):
        with pytest.raises(UsageError, match="no launcher 'elsewhere'") as refused:
            ask([record], tmp_path)
        assert "local, modal" in refused.value.hint


def test_the_others_are_ended_though_one_launcher_is_gone(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, "MULTISTAGE_WORKER": "here-1"},
        start_new_session=True,
    )
    try:
        here = make_local("here-1", process.pid, psutil.Process(process.pid).create_time())
        gone = here.model_copy(update={"launcher": "elsewhere", "worker_id": "gone-1"})
        with pytest.raises(UsageError, match="no launcher 'elsewhere'"):
            stop_workers([gone, here], tmp_path)
        assert process.wait(5) < 0
    finally:
        process.kill()
        process.wait()


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    record = make_local("a-1", 1, 0.0).model_copy(update={"details": {"pid": "x"}})
    with pytest.raises(LaunchError, match="record of worker a-1 is damaged at pid"):
        has_living_workers([record], tmp_path)
