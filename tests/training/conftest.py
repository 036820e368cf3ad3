"""Fixtures of the training program's tests."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.training_programs import Start


@pytest.fixture
def start(tracker: dict[str, str], workplace: Path, request: pytest.FixtureRequest) -> Start:
    """Start the training program as a person would, with a run id of one's choice."""

    def start_program(run_id: str, *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "multistage.training", *arguments],
            env={**tracker, "WANDB_RUN_ID": run_id, "WANDB_PROJECT": "training"},
            cwd=workplace,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

        def end() -> None:
            process.kill()
            process.communicate()

        request.addfinalizer(end)
        return process

    return start_program
