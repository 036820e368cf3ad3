"""The contract's tests run against whatever server is named to them, and delete there what they made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.remains import check_that_nothing_is_left
from tests.server_process import ServerProcess

TESTS = (
    "test_contract_runs.py::test_failed_run",
    "test_contract_collections.py::test_several_runs_write_one_version",  # links, tags, aliases, incremental versions
    "test_contract_sweeps.py::test_stopped_sweep_lets_its_run_finish_and_takes_no_more",  # leaves queued runs
)
FOLDER = "tests/wandb_server"


@pytest.mark.slow
def test_contract_against_a_server_by_its_url_and_key(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        named = {"CONTRACT_BASE_URL": server.url, "CONTRACT_API_KEY": server.key}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "contract", *(f"{FOLDER}/{test}" for test in TESTS)],
            env={**os.environ, **named},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "3 passed" in done.stdout
        check_that_nothing_is_left(server, len(TESTS))
