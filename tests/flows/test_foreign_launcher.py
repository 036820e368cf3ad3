"""A sweep whose workers come from a launcher of another package."""

from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import FAST, CommandLine, check_budget
from tests.launchers.distributions import install


@pytest.mark.slow
def test_another_packages_launcher_trains_a_whole_sweep(
    commands: CommandLine, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("spare = spare_launcher:SpareKind", workplace / "site", monkeypatch)
    sweep = ("digits:mlp", "--params", "learning_rate", "--budget", "10", "--tracker", "embedded", *FAST)
    there = {"PYTHONPATH": str(workplace / "site")}
    commands.run(*sweep, "--launcher", "spare", "--spare-nice", "3", variables=there, timeout=280)
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_digits_mlp")
    check_budget(commands, folder, lost=0)
    state = folder.load_state()
    assert (state.options.launcher, state.options.launcher_options) == ("spare", {"nice": 3})
    assert {one.launcher for one in state.workers} == {"spare"}
    assert len(list(folder.logs.glob("spare-*.log"))) >= state.options.workers == 2
