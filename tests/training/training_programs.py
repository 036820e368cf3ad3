"""The training program's processes, and the runs that they leave in the tracker."""

import subprocess
from collections.abc import Callable
from typing import Any

import wandb

REWARD = "train/roll/ep_rew/mean"
VALIDATION = "val/roll/ep_rew/mean"
Start = Callable[..., "subprocess.Popen[str]"]


def finish(process: "subprocess.Popen[str]", timeout: float = 100) -> tuple[int, str]:
    """Exit code and stderr."""
    _, errors = process.communicate(timeout=timeout)
    return process.returncode, errors.strip()


def load(api: wandb.Api, run_id: str) -> Any:
    api.flush()  # type: ignore[no-untyped-call]
    return api.run(f"{api.default_entity}/training/{run_id}")
