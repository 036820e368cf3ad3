"""A small Modal app, for the stand-in's own tests."""

import os
import subprocess
import sys
import time
from pathlib import Path

import modal

app = modal.App("sample")
image = modal.Image.debian_slim(python_version="3.11").uv_pip_install("numpy==2.0.0")
secret = modal.Secret.from_name("wandb-secret", required_keys=["WANDB_API_KEY"])


@app.function(image=image, secrets=[secret], timeout=60, single_use_containers=True)
def add(one: int, two: int) -> dict[str, object]:
    return {"sum": one + two, "key": os.environ["WANDB_API_KEY"], "pid": os.getpid()}


@app.function(image=image, timeout=60)
def echo(text: str) -> str:
    return text


@app.function(image=image, timeout=60)
def fail(reason: str) -> None:
    raise ValueError(reason)


@app.function(image=image, timeout=60)
def linger(folder: str, seconds: float) -> str:
    """Note each start, hold on with a process below, and note how it ended."""
    notes = Path(folder)
    count = len(list(notes.glob("start-*")))
    (notes / f"start-{count}").write_text(str(os.getpid()))
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"], start_new_session=True)
    (notes / "child").write_text(str(child.pid))
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.02)
        return "done"
    except BaseException as error:
        (notes / "ended").write_text(type(error).__name__)
        raise
