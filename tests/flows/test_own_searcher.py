"""A searcher of another package drives a whole sweep, and is missed where it is gone."""

import os
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import BUDGET, SWEEP, CommandLine, check_budget
from tests.search.strangers import install


@pytest.mark.slow
def test_a_strangers_searcher_drives_a_sweep(
    commands: CommandLine, workplace: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path_factory.mktemp("package")
    install(monkeypatch, package)
    there = {"PYTHONPATH": os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}
    sweep = (*SWEEP, "--tracker", "embedded", "--name", "strange", "--search", "corners")
    commands.run(*sweep, variables=there)
    folder = SweepFolder(workplace / "runs" / "strange")
    runs = check_budget(commands, folder, lost=0)
    second = folder.load_state().stages_completed[1]
    assert second.method == "corners"
    corners = {name: {bounds[0], bounds[-1]} for name, bounds in second.bounds.items()}
    found = [{name: run.config[name] for name in corners} for run in runs if run.name.stage == 2]
    assert len(found) == second.runs_completed
    assert all(config[name] in corners[name] for config in found for name in corners)
    refused = commands.run("resume", "strange", "--budget", str(2 * BUDGET), code=2)
    assert "There is no searcher 'corners'." in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert folder.load_state().budget_used == BUDGET
