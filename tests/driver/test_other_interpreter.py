"""A resume that names another interpreter: what is left is trained by it, whatever the former one left at work."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from multistage.driver.launching import open_launcher
from multistage.driver.roster import Roster
from multistage.launchers.local.launcher import LocalLauncher
from multistage.launchers.local.records import read_local
from multistage.request.asked_sweep import read_parameters
from multistage.request.preparation import prepare_folder
from multistage.request.resolution import resolve_request
from multistage.request.resumption import take_up
from multistage.store.journal import Journal
from multistage.store.sweep_folder import SweepFolder
from tests.queued_sweeps import (
    client_variables,
    list_runs,
    queue_runs,
    wait_for_row,
    wait_for_state,
    wait_until,
    write_script,
)

SCRIPT = """
with wandb.init() as run:
    run.summary["interpreter"] = sys.executable
    run.log({"score": 1.0})
    time.sleep(600 * run.config["long"])
"""


@pytest.fixture
def folder(workplace: Path) -> Iterator[SweepFolder]:
    """A sweep's folder, whose workers end with the test."""
    folder = SweepFolder(workplace / "runs" / "swept")
    yield folder
    LocalLauncher(folder.logs).stop(folder.load_state().workers)


def begin(folder: SweepFolder, parameters: dict[str, Any], server: dict[str, str]) -> Roster:
    """Begin the sweep, or take it up, as a flow run does."""
    place = folder.path.parents[1]
    asked = read_parameters({**parameters, "runs_dir": folder.path.parent, "name": folder.name}, place)
    resolved = resolve_request(asked.request, place)
    state = prepare_folder(folder, asked.request, resolved.plan, asked.options, asked.resume)
    journal = Journal(folder)
    launcher = open_launcher(
        resolved.plan.settings,
        state.options,
        folder.logs,
        client_variables(server),
        None,
        lambda: journal.state.workers,
    )
    return Roster(journal, launcher)


def test_what_is_left_is_trained_by_the_interpreter_that_a_resume_names(
    api: wandb.Api, tracker: dict[str, str], folder: SweepFolder, workplace: Path
) -> None:
    for name in ("first", "second"):  # two environments, by their paths
        (workplace / name).symlink_to(sys.prefix)
    script = write_script(workplace / "train.py", SCRIPT)
    sweep = queue_runs(api, script, [{"long": 1}, {"long": 0}])
    given = {"config_id": "my:own", "program": "train.py", "params": "x:0-1", "metric": "score", "budget": 20}
    before = begin(folder, given | {"python": workplace / "first", "worker_idle": 2.0, "workers": 1}, tracker)
    (left,) = before.launch(sweep, 1)
    wait_for_row(sweep, "run-0", "score")
    before.launcher.close()

    same = begin(folder, take_up(folder.load_state(), {"resume": True, "python": workplace / "first"}), tracker)
    same.end_strangers(folder.logs)
    assert [one.worker_id for one in same.list_alive(sweep)] == [left.worker_id], "it is adopted"
    same.launcher.close()

    after = begin(folder, take_up(folder.load_state(), {"resume": True, "python": workplace / "second"}), tracker)
    after.end_strangers(folder.logs)
    assert after.list_alive(sweep) == []
    wait_for_state(sweep, "run-0", "killed")
    (worker,) = after.launch(sweep, 1)
    wait_until(lambda: not after.launcher.is_alive(worker), "the end of the worker", 60)
    after.launcher.close()
    taken = {name: Path(run.summary["interpreter"]) for name, run in list_runs(sweep).items()}
    assert taken == {
        f"run-{index}": workplace / name / "bin" / "python" for index, name in enumerate(("first", "second"))
    }
    assert read_local(worker).python == str(workplace / "second" / "bin" / "python")
    assert folder.load_state().options.python == workplace / "second"
