"""A session whose W&B server comes back elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from multistage.driver import session as session_module
from multistage.driver.session import Session
from multistage.errors import TrackerError
from multistage.store.sweep_folder import SweepFolder
from tests.states import make_state
from tests.workers import make_local


def test_a_server_that_came_back_on_another_port_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers know the old address alone, so they are ended; the step is begun again."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    port = [8001]
    monkeypatch.setattr(session_module, "find_server", lambda _: (f"http://127.0.0.1:{port[0]}", "0" * 40))
    worker = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, "MULTISTAGE_WORKER": "old-1"},
        start_new_session=True,
    )
    try:
        folder = SweepFolder(tmp_path / "mine")
        noted = make_local("old-1", worker.pid, psutil.Process(worker.pid).create_time(), log="")
        folder.write_state(make_state(workers=(noted,)))
        session = Session(folder)
        before, launcher = session.connection, session.roster.launcher
        session._revive()
        assert session.connection is before, "it is where it was"

        port[0] = 8002
        with pytest.raises(TrackerError, match=r"has left http://127\.0\.0\.1:8001 for http://127\.0\.0\.1:8002"):
            session._revive()
        assert worker.wait(10) < 0
        assert (session.connection.base_url, session.state.tracker_url) == ("http://127.0.0.1:8002",) * 2
        assert session.state.workers == ()
        assert session.roster.launcher is not launcher
        assert not session.follow_server()
        session.close()
    finally:
        worker.kill()
        worker.wait()
