"""The built wheel in an environment of its own, in a user's folder with modules of the names that this project has."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
DATA = "def load():\n    return 1.0\n"
TRAIN = """
import flows, multistage
from tasks.data import load
import wandb
assert (flows.MINE, multistage.MINE) == ("flows", "multistage")
with wandb.init() as run:
    run.log({"score": load() - run.config["x"] ** 2})
"""
SWEEP = """
program: train.py
method: random
metric: {name: score, goal: maximize}
parameters: {x: {min: 0.0, max: 1.0}}
"""
FLOW = "multistage.pipeline.flows.multistage_sweep"
LOOK = f"import {FLOW} as found; print(found.__file__); print(found.sweep_stage.fn.__module__)"
CALL = "from multistage.cli import main; main({})"
LIMIT = 300.0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = str(tmp_path_factory.mktemp("wheel"))
    return Path(next(WheelBuilder(str(ROOT)).build(directory=folder, versions=["standard"])))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project: a script, and beside it their own ``tasks/``, ``flows/`` and ``multistage.py``."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("tasks", "flows"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f'MINE = "{name}"\n')
    (folder / "tasks" / "data.py").write_text(DATA)
    (folder / "multistage.py").write_text('MINE = "multistage"\n')
    (folder / "train.py").write_text(TRAIN)
    return folder


@pytest.fixture
def unpacked(wheel: Path, tmp_path: Path) -> Path:
    """The wheel as an installer leaves it, before the environment's own copy on the path."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    return tmp_path / "site"


def run_unpacked(unpacked: Path, project: Path, code: str, expected: int = 0) -> str:
    """Run code as the installed commands do: they look for modules everywhere but in the current folder."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_wheel_has_its_own_flows_and_leaves_the_user_theirs(unpacked: Path, project: Path) -> None:
    said = run_unpacked(unpacked, project, LOOK).splitlines()
    assert said == [str(unpacked / f"{FLOW.replace('.', '/')}.py"), "multistage.pipeline.flows.stage"]


def test_what_an_installation_has_lost_is_named_and_nothing_is_started(unpacked: Path, project: Path) -> None:
    (unpacked / "multistage" / "settings.py").write_text((unpacked / "multistage" / "settings.py").read_text() + "\n")
    (unpacked / "multistage" / "report" / "plan.py").unlink()
    shutil.rmtree(unpacked / "multistage" / "pipeline" / "tasks")
    found = json.loads(run_unpacked(unpacked, project, CALL.format(["doctor", "--json"]), 1))
    assert [(one["verdict"], one["what"].split(" and ")[0]) for one in found] == [
        ("bad", "Missing: multistage/pipeline/tasks/__init__.py"),
        ("note", "Changed since it was installed: multistage/settings.py."),
    ]
    assert found[0]["remedy"].startswith("pip install --force-reinstall --no-deps multistage-sweep==")
    before = sorted(project.rglob("*"))
    said = run_unpacked(unpacked, project, CALL.format(["digits:mlp", "--params", "alpha"]), 2)
    assert "The installation is broken: Missing: multistage/pipeline/tasks" in said
    assert sorted(project.rglob("*")) == before


class Installed:
    """The wheel in an environment of its own.

    Args:
        folder: For the environment, and the user's home.
        project: Where the user works.
    """

    def __init__(self, folder: Path, project: Path) -> None:
        self.bin = folder / "venv" / "bin"
        self.project = project
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WANDB_", "PREFECT_", "MULTISTAGE_", "PYTHON", "VIRTUAL_ENV"))
        }
        home = folder / "home"
        home.mkdir()
        self.environment = {**inherited, "HOME": str(home), "MULTISTAGE_HOME": str(home / "services")}

    def run(self, command: str, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
        """Run one of the environment's commands in the project."""
        done = subprocess.run(
            [self.bin / command, *arguments],
            cwd=self.project,
            env=self.environment | dict(variables or {}),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, f"{command} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def __call__(self, *arguments: str) -> str:
        """Run ``multistage-sweep``."""
        return self.run("multistage-sweep", *arguments)


@pytest.fixture(scope="module")
def installed(wheel: Path, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    made = Installed(folder, project)
    python = folder / "venv" / "bin" / "python"
    uv = shutil.which("uv")
    installer: list[str | Path] = (
        [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install", "--no-compile"]
    )
    subprocess.run([*installer, "--quiet", wheel], check=True, timeout=900)
    yield made
    made("down", "--force")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_sweep_its_resume_and_a_single_one(installed: Installed) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert installed("--version").strip() == version
    installed("doctor")
    sweep = ("digits:mlp", "--params", "learning_rate,alpha", "--train-arg", "epochs=2")
    installed(*sweep, "--budget", "10", "--name", "one")
    assert read_progress(installed, "one") == ("completed", 10)
    installed("--resume", "one", "--budget", "12")
    assert read_progress(installed, "one") == ("completed", 12)
    (installed.project / "sweep.yaml").write_text(SWEEP)
    installed("single", "sweep.yaml", "--count", "2", "--name", "two")
    assert read_progress(installed, "two") == ("completed", 2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_deployment_of_the_user_s_folder_runs_by_schedule_and_on_demand(installed: Installed) -> None:
    sweep = ("my:script", "--program", "train.py", "--params", "x:0-1", "--metric", "score", "--budget", "10")
    said = installed("deploy", *sweep, "--as", "nightly", "--cron", "* * * * *")
    assert "Schedule: * * * * *, UTC" in said
    listed = installed("deploy", "--list")
    assert listed.startswith("nightly: trains my:script in ")
    assert "deploy it again" not in listed
    name = wait_for_sweep(installed, "nightly-*")
    assert read_progress(installed, name) == ("completed", 10)

    said = installed("deploy", *sweep, "--as", "nightly")
    assert "* * * * *" not in installed("deploy", "--list")
    assert 'eval "$(multistage-sweep env)"' in said
    variables = dict(re.findall(r"^export (\w+)=(.*)$", installed("env"), flags=re.MULTILINE))
    run = ("deployment", "run", "multistage-sweep/nightly", "-p", "name=asked", "-p", "budget=11", "--watch")
    installed.run("prefect", *run, variables=variables)
    assert read_progress(installed, "asked") == ("completed", 11)

    installed("deploy", "--remove", "nightly")
    assert "There are no deployments" in installed("deploy", "--list")


def read_progress(installed: Installed, name: str) -> tuple[str, int]:
    """Return a sweep's status, and the budget that it has used."""
    state = json.loads((installed.project / "runs" / name / "state.json").read_text())
    return state["status"], state["budget_used"]


def wait_for_sweep(installed: Installed, pattern: str) -> str:
    """Wait until a sweep has come to its end; returns its name."""
    deadline = time.monotonic() + LIMIT
    while True:
        for state in (installed.project / "runs").glob(f"{pattern}/state.json"):
            status, _ = read_progress(installed, state.parent.name)
            assert status in ("running", "completed")
            if status == "completed":
                return state.parent.name
        assert time.monotonic() < deadline, "no sweep was completed"
        time.sleep(1)
