"""A machine that gives little: no home, few open files, no shared memory, folders that are read-only."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import COMMAND, CommandLine, check_budget

SCRIPT = """
import os, time
import wandb
with wandb.init() as run:
    while run.config["x"] > 0 and os.path.exists("hold"):
        time.sleep(0.02)
    run.log({"score": run.config["x"]})
"""
SWEEP = (
    *("my:script", "--program", "train.py", "--params", "x:0-1", "--metric", "score"),
    *("--budget", "10", "--workers", "2"),
)
NAME = "multistage_sweep_my_script"
ROOT = Path(__file__).parents[2]
NOWHERE = "/proc/no/home"
"""Where nobody can make a folder, root included."""


def run(
    commands: CommandLine,
    prefix: Sequence[str],
    arguments: Sequence[str],
    variables: Mapping[str, str | None],
    code: int,
) -> str:
    """Run a command behind another one, with variables set or (None) missing; returns all that it printed."""
    told = {name: value for name, value in {**commands.environment, **variables}.items() if value is not None}
    done = subprocess.run(
        [*prefix, COMMAND, *arguments], env=told, capture_output=True, text=True, timeout=560, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_home_that_cannot_be_written_is_said_with_its_remedy(commands: CommandLine, workplace: Path) -> None:
    Path("train.py").write_text(SCRIPT)
    bare = {"HOME": NOWHERE, "MULTISTAGE_HOME": None, "PREFECT_HOME": None}
    for arguments in (SWEEP, ("up",)):
        said = run(commands, (), arguments, bare, code=1)
        assert "cannot be used" in said
        assert "MULTISTAGE_HOME names another place" in said
    run(commands, (), ("status",), bare, code=0)
    assert not (workplace / "runs").exists()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a user who is not known")
def test_a_user_without_any_home_is_told(commands: CommandLine, workplace: Path) -> None:
    Path("train.py").write_text(SCRIPT)
    unknown = ("unshare", "--user", "--map-user=54321")
    if subprocess.run([*unknown, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces of users are closed")
    for arguments in (("plan", *SWEEP), ("doctor",)):
        said = run(commands, unknown, arguments, {"HOME": None}, code=2)
        assert said.startswith("multistage-sweep: There is no home folder: HOME is not set")
        assert said.count("\n") == 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_few_open_files_are_enough(commands: CommandLine, workplace: Path) -> None:
    Path("train.py").write_text(SCRIPT)
    run(commands, ("sh", "-c", 'ulimit -n 64 && exec "$@"', "sh"), SWEEP, {}, code=0)
    check_budget(commands, SweepFolder(workplace / "runs" / NAME), lost=0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_shared_memory_is_needed(commands: CommandLine, workplace: Path) -> None:
    Path("train.py").write_text(SCRIPT)
    hidden = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o ro,size=0 none /dev/shm && exec "$@"', "sh")
    if subprocess.run([*hidden, "sh", "-c", "! touch /dev/shm/x"], capture_output=True, check=False).returncode:
        pytest.skip("shared memory cannot be hidden")
    run(commands, hidden, SWEEP, {}, code=0)
    check_budget(commands, SweepFolder(workplace / "runs" / NAME), lost=0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_read_only_checkout_needs_another_place_for_its_runs_alone(
    commands: CommandLine, workplace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Both are read-only: the folder of the user's script, and that of this package."""
    Path("train.py").write_text(SCRIPT)
    freeze = 'for each in "$0" "$PWD"; do mount --bind "$each" "$each" && mount -o remount,bind,ro "$each"; done; '
    frozen = ("unshare", "--mount", "sh", "-c", f'{freeze} cd "$PWD" && exec "$@"', str(ROOT))
    if not subprocess.run([*frozen, "touch", "x"], capture_output=True, check=False).returncode:
        pytest.skip("folders cannot be made read-only")
    said = run(commands, frozen, SWEEP, {}, code=2)
    assert "Read-only file system" in said
    assert "--runs-dir" in said
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    run(commands, frozen, (*SWEEP, "--runs-dir", str(elsewhere)), {}, code=0)
    check_budget(commands, SweepFolder(elsewhere / NAME), lost=0)
    assert [path.name for path in workplace.iterdir()] == ["train.py"]
