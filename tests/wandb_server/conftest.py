"""What the tests of the embedded server share."""

import subprocess
import sys
from pathlib import Path

import pytest
import wandb


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the client and W&B's own engine."""
    folder = tmp_path_factory.mktemp("engine")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    wanted = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"wandb[sweeps]=={wandb.__version__}"]
    done = subprocess.run([str(folder / "bin" / "python"), *wanted], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the package sweeps cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    return folder / "bin"
