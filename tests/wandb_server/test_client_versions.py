"""Clients that people have installed, each in an environment of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server_process import ServerProcess
from tests.wandb_server.wandb_clients import SCRIPTS

VERSIONS = ("0.19.11", "0.22.3", "0.26.1", "0.28.2", "0.29.0", "0.30.0", "0.31.0")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_of_this_version_works(wandb_server: ServerProcess, tmp_path: Path, version: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"wandb=={version}", "numpy"]
    installed = subprocess.run(pip, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        pytest.skip(f"this client cannot be installed: {installed.stderr.strip().splitlines()[-1]}")
    command = [python, str(SCRIPTS / "any_client.py")]
    environment = {**wandb_server.environment, "WANDB_SILENT": "true"}
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    failures = json.loads(done.stdout.strip().rpartition("\n")[2])
    assert failures == {}, "\n".join(failures.values())
