"""A sweep whose runs end when a test allows it, in the folder in which they train."""

from pathlib import Path

SCRIPT = """
import os, time
from pathlib import Path
import wandb
with wandb.init() as run:
    Path(f"began-{run.id}").touch()
    while len(list(Path().glob("began-*"))) > int(Path("allowed").read_text()):
        time.sleep(0.02)
    run.log({"score": run.config["x"]})
"""
SWEEP = (
    *("my:script", "--program", "train.py", "--params", "x:0-1", "--metric", "score"),
    *("--budget", "10", "--workers", "2", "--name", "mine"),
)


def allow(number: int) -> None:
    """Let so many runs end."""
    Path("allowed").write_text(str(number))


def count_begun() -> int:
    """Count the runs that have begun."""
    return len(list(Path().glob("began-*")))
