"""Clients that people have installed, each in an environment of its own, kept between runs of the tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from multistage.installation import TESTED_CLIENTS
from tests.server_process import ServerProcess
from tests.wandb_server.version_table import PAGE, RECORD, RECORDING, read_record, write_record, write_table
from tests.wandb_server.wandb_clients import SCRIPTS


def make_venv(folder: Path, version: str) -> Path:
    """The Python of an environment with this client; skips where it cannot be installed."""
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"wandb=={version}"]
        installed = subprocess.run([*pip, "numpy"], capture_output=True, text=True, check=False)
        if installed.returncode != 0:
            pytest.skip(f"this client cannot be installed: {installed.stderr.strip().splitlines()[-1]}")
        (folder / "complete").touch()
    return python


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("version", TESTED_CLIENTS)
def test_a_client_of_this_version_works(
    wandb_server: ServerProcess, tmp_path: Path, version: str, pytestconfig: pytest.Config
) -> None:
    assert pytestconfig.cache is not None
    python = make_venv(pytestconfig.cache.mkdir(f"client-{version}-py{sys.version_info.minor}"), version)
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**wandb_server.environment, "WANDB_SILENT": "true", "PATH": path}
    command = [str(python), str(SCRIPTS / "any_client.py")]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=1100, check=False
    )
    assert done.returncode == 0, done.stderr
    troubles: dict[str, str] = json.loads(done.stdout.strip().rpartition("\n")[2])
    works = {what: not trouble for what, trouble in troubles.items()}
    if os.environ.get(RECORDING):
        write_record(version, works)
    told = "\n".join(trouble for trouble in troubles.values() if trouble)
    assert works == read_record()[version], f"{RECORD.name} says otherwise.\n{told}"


def test_the_page_says_what_the_tests_found() -> None:
    assert tuple(read_record()) == TESTED_CLIENTS
    page = PAGE.read_text(encoding="utf-8")
    assert write_table(page) == page, "python -m tests.wandb_server.version_table"
