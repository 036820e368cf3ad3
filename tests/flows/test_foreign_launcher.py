"""A sweep whose workers come from a launcher of another package, named by the environment as a setting is."""

import subprocess
import sys
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget
from tests.launchers.distributions import install

SWEEP = """
import os
from multistage.services import ensure_prefect_server, enter_prefect_server
from multistage.settings import Settings
enter_prefect_server(ensure_prefect_server(Settings()), Settings(), os.environ)
from multistage.pipeline.flows.multistage_sweep import multistage_sweep
multistage_sweep("digits:mlp", params="learning_rate", budget=10, tracker="embedded", train_arg=["epochs=3"])
"""


@pytest.mark.slow
def test_another_packages_launcher_trains_a_whole_sweep(
    commands: CommandLine, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("spare = spare_launcher:SpareKind", workplace / "site", monkeypatch)
    variables = {"PYTHONPATH": str(workplace / "site"), "MULTISTAGE_LAUNCHER": "spare"}
    done = subprocess.run(
        [sys.executable, "-c", SWEEP],
        env={**commands.environment, **variables},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_digits_mlp")
    check_budget(commands, folder, lost=0)
    state = folder.load_state()
    assert state.options.launcher == "spare"
    assert {one.launcher for one in state.workers} == {"spare"}
    assert len(list(folder.logs.glob("spare-*.log"))) >= state.options.workers == 2
