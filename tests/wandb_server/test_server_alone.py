"""The server where only what it needs is installed: neither Prefect, Modal, nor the client."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = {
    "numpy",
    "scipy",
    "scikit-learn",
    "threadpoolctl",
    "pydantic",
    "starlette",
    "uvicorn",
    "graphql-core",
    "pyyaml",
    "jinja2",
}
START = """
import importlib.util, os, signal, sys, threading, urllib.request
from pathlib import Path
sys.path.insert(0, {root!r})
there = [name for name in ("prefect", "modal", "wandb", "fastapi", "optuna") if importlib.util.find_spec(name)]
assert not there, there
from multistage.wandb_server import serving
from multistage.wandb_server.lifecycle import Timing
def look(url, key):
    def ask():
        with urllib.request.urlopen(url + "/healthz", timeout=30) as answer:
            print(answer.read().decode(), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=ask).start()
serving.serve(Path({data!r}), ["127.0.0.1"], 0, Timing(), look)
"""


@pytest.mark.slow
def test_it_needs_neither_prefect_nor_modal_nor_the_client(tmp_path: Path) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted = [one for one in declared if re.split(r"[^A-Za-z0-9-]", one)[0] in NEEDED]
    assert len(wanted) == len(NEEDED)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    installed = subprocess.run(pip, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        pytest.skip(f"the packages cannot be installed: {installed.stderr.strip().splitlines()[-1]}")
    source = START.format(root=str(ROOT), data=str(tmp_path / "data"))
    done = subprocess.run([python, "-c", source], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert '"ok"' in done.stdout
