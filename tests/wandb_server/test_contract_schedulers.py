"""The contract of sweeps that a client searches: W&B's scheduler with its engines, and the local controller.

W&B's own engine is the package ``sweeps``, which holds numpy below 2: its clients run in an environment of their own.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import wandb

from tests.contract.leftovers import name_project
from tests.wandb_server.contract_sweeps import get_path, get_state, list_runs, make_sweep, run_function_agent
from tests.wandb_server.wandb_clients import end_session, wait_for

pytestmark = [
    pytest.mark.contract,
    # wandb.sweep() warns of its own use of it.
    pytest.mark.filterwarnings("ignore:Read the `app_url` setting:DeprecationWarning"),
]

SCORE = "run.log({'score': -(run.config.lr - 0.3) ** 2})"
FOLLOW = """
        import time
        for step in range(400):
            run.log({'score': run.config.lr})
            time.sleep(0.02)
"""
CONTROLLER = """
import sys, time, wandb
entity, project, sweep = sys.argv[1].split("/")
controller = wandb.controller(sweep, entity=entity, project=project)
while not controller.done():
    controller.step()
    time.sleep(0.3)
"""


@pytest.fixture(scope="module")
def project() -> str:
    return name_project()


@contextmanager
def running(environment: dict[str, str], folder: Path, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A client's program that goes on beside the test; it ends with the block."""
    log = folder / "program.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    except BaseException:
        sys.stderr.write(log.read_text())
        raise
    finally:
        end_session(process)


def schedule(environment: dict[str, str], folder: Path, sweep: Any, programs: Path) -> Any:
    """W&B's scheduler for a sweep."""
    environment = {**environment, "PATH": f"{programs}{os.pathsep}{environment['PATH']}"}
    command = [str(programs / "wandb"), "sweep-scheduler", "--batch-size", "2", "--poll-interval", "0.5"]
    return running(environment, folder, *command, get_path(sweep))


def check_scheduled(api: Any, sweep: Any, count: int) -> list[Any]:
    """Check that a scheduler ran a sweep to its cap, and that its console is no run of the sweep."""
    assert get_state(sweep) == "FINISHED"
    runs = [run for run in list_runs(api, sweep) if run.state != "killed"]
    assert [run.state for run in runs] == ["finished"] * count
    console = api.run(f"{'/'.join(sweep.path[:2])}/{sweep.id}-scheduler")
    assert console.sweep_name is None
    return runs


@pytest.mark.slow
def test_scheduler_with_optuna_fills_the_sweep_to_its_cap(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path
) -> None:
    parameters = {"lr": {"min": 0.0, "max": 1.0}, "kind": {"values": ["a", "b"]}}
    sweep = make_sweep(api, project, scheduler={"engine": "optuna"}, parameters=parameters, run_cap=5)
    with schedule(tracker, tmp_path, sweep, Path(sys.executable).parent) as scheduler:
        run_function_agent(tracker, tmp_path, sweep, 20, SCORE)
        assert scheduler.wait(60) == 0
    runs = check_scheduled(api, sweep, 5)
    assert len({run.config["lr"] for run in runs}) == 5
    assert {run.config["kind"] for run in runs} <= {"a", "b"}
    assert "Trial 0 finished with value" in (tmp_path / "program.log").read_text()


@pytest.mark.slow
def test_scheduler_goes_on_after_it_was_interrupted(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path
) -> None:
    sweep = make_sweep(api, project, scheduler={"engine": "optuna"}, run_cap=4)
    programs = Path(sys.executable).parent
    with schedule(tracker, tmp_path, sweep, programs) as scheduler:
        wait_for(lambda: len(list_runs(api, sweep)) == 2, 60)
        scheduler.send_signal(2)
        assert scheduler.wait(60) == 0
    with schedule(tracker, tmp_path, sweep, programs) as scheduler:
        run_function_agent(tracker, tmp_path, sweep, 20, SCORE)
        assert scheduler.wait(60) == 0
    check_scheduled(api, sweep, 4)


@pytest.mark.slow
def test_scheduler_with_wandbs_engine(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path, engine: Path
) -> None:
    parameters = {"lr": {"values": [0.1, 0.2, 0.3]}}
    changes = {"method": "grid", "parameters": parameters}
    name = wandb.sweep(
        {"program": "train.py", "scheduler": {"engine": "wandb"}, "metric": {"name": "score"}, **changes},
        project=project,
    )
    sweep = api.sweep(f"{api.default_entity}/{project}/{name}")
    with schedule(tracker, tmp_path, sweep, engine) as scheduler:
        run_function_agent(tracker, tmp_path, sweep, 20, SCORE)
        assert scheduler.wait(60) == 0
    runs = check_scheduled(api, sweep, 3)
    assert sorted(run.config["lr"] for run in runs) == [0.1, 0.2, 0.3]


@pytest.mark.slow
def test_local_controller_walks_its_grid_to_the_end(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path, engine: Path
) -> None:
    parameters = {"lr": {"values": [0.1, 0.2, 0.3]}}
    sweep = make_sweep(api, project, method="grid", controller={"type": "local"}, parameters=parameters)
    with running(tracker, tmp_path, str(engine / "python"), "-c", CONTROLLER, get_path(sweep)) as controller:
        run_function_agent(tracker, tmp_path, sweep, 20, SCORE)
        assert controller.wait(60) == 0
    runs = list_runs(api, sweep)
    assert [(run.config["lr"], run.state) for run in runs] == [
        (0.1, "finished"),
        (0.2, "finished"),
        (0.3, "finished"),
    ]
    assert get_state(sweep) == "FINISHED"


@pytest.mark.slow
def test_local_controller_stops_runs_early(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path, engine: Path
) -> None:
    sweep = make_sweep(
        api,
        project,
        method="grid",
        controller={"type": "local"},
        parameters={"lr": {"values": [0.9, 0.1]}},
        early_terminate={"type": "hyperband", "min_iter": 3, "eta": 3},
    )
    with running(tracker, tmp_path, str(engine / "python"), "-c", CONTROLLER, get_path(sweep)) as controller:
        run_function_agent(tracker, tmp_path, sweep, 20, FOLLOW)
        assert controller.wait(60) == 0
    assert {run.config["lr"]: run.state for run in list_runs(api, sweep)} == {0.9: "finished", 0.1: "killed"}
