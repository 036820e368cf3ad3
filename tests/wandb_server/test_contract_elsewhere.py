"""The contract's tests run against whatever server is named to them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

PROJECTS = '{models(entityName: "local", first: 1000) {edges {node {name}}}}'


@pytest.mark.slow
def test_contract_against_a_server_by_its_url_and_key(wandb_server: ServerProcess) -> None:
    def list_projects(session: Session) -> set[str]:
        return {edge["node"]["name"] for edge in session.ask(PROJECTS)["models"]["edges"]}

    named = {"CONTRACT_BASE_URL": wandb_server.url, "CONTRACT_API_KEY": wandb_server.key}
    command = ["-m", "pytest", "-q", "-m", "contract", "tests/wandb_server/test_contract_runs.py::test_failed_run"]
    with Session(wandb_server) as session:
        before = list_projects(session)
        done = subprocess.run(
            [sys.executable, *command],
            env={**os.environ, **named},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        fresh = list_projects(session) - before
    assert len(fresh) == 1
    assert fresh.pop().startswith("contract-")
