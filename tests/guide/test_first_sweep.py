"""The page of the first sweep, command by command, in an empty folder of a user with an empty home."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget
from tests.guide.documented import ROOT, list_blocks

PAGE = (ROOT / "docs" / "first_sweep.md").read_text()
INSTALLING, SWEEPING, MEANWHILE, IN_THE_END = list_blocks("first_sweep.md")
NAME = "multistage_sweep_digits_mlp"


@pytest.fixture
def user(tmp_path: Path, workplace: Path) -> Iterator[CommandLine]:
    """A user with nothing but the program, and the small ``jq`` of the page where there is none."""
    user = CommandLine(tmp_path / "home")
    place = tmp_path / "home" / "bin"
    place.mkdir(parents=True)
    if shutil.which("jq") is None:
        (place / "jq").write_text(
            f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(json.load(sys.stdin)[sys.argv[1][1:]]))\n"
        )
        (place / "jq").chmod(0o755)
    user.environment["PATH"] = os.pathsep.join((str(place), str(Path(sys.executable).parent), os.environ["PATH"]))
    (tmp_path / "empty").mkdir()
    os.chdir(tmp_path / "empty")  # `workplace` goes back
    try:
        yield user
    finally:
        left = user.end()
    assert not left, left


def follow(user: CommandLine, block: str) -> list[str]:
    """Run each line of a block as a shell would, without its remark; returns what each printed."""
    printed = []
    for line in block.strip().splitlines():
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", line],
            env=user.environment,
            capture_output=True,
            text=True,
            timeout=800,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        printed.append(done.stdout)
    return printed


def test_it_is_installed_as_the_makefile_says() -> None:
    asked = subprocess.run(["make", "--dry-run", "install"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    assert INSTALLING.splitlines()[1].startswith("make install")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_command_does_what_the_page_says(user: CommandLine) -> None:
    plan, sweep = follow(user, SWEEPING)
    folder = SweepFolder(Path("runs") / NAME)
    check_plan(plan)
    check_sweep(sweep, folder)
    check_budget(user, folder, lost=0)

    everything, one, stages = follow(user, MEANWHILE)
    assert NAME in everything
    assert "40" in one
    assert [stage["stage"] for stage in json.loads(stages)] == [1, 2, 3]

    best, report = follow(user, IN_THE_END)
    state = folder.load_state()
    assert state.recommended is not None
    assert yaml.safe_load(best).keys() == state.recommended.config.keys() == {"learning_rate", "alpha"}
    assert str(folder.path / "report.html") in report.replace("\n", "")
    for name in re.findall(r"^\| `([\w.]+/?)` \|", PAGE, re.MULTILINE):
        assert (folder.path / name).is_dir() if name.endswith("/") else (folder.path / name).is_file(), name
    assert not list(Path().glob("wandb*")), "something was left beside runs/"


def check_plan(shown: str) -> None:
    """Check that a plan has the three stages, how many runs each has and by which method, how long, and where from."""
    numbers = [int(number) for number in re.findall(r"\b(\d+)\b", " ".join(re.findall(r"^.*[123].*$", shown, re.M)))]
    assert {12, 20, 8} <= set(numbers)
    for words in ("grid", "gaussian process", "default"):
        assert words in shown


def check_sweep(shown: str, folder: SweepFolder) -> None:
    """Check the lines that the page names, in its order."""
    first, *rest = shown.splitlines()
    assert first.startswith("Tracker: the embedded W&B server on this machine")
    places = [
        f"Sweep folder: {folder.path}",
        "Prefect UI: http://127.0.0.1:",
        "Stage 1 of 3",
        "MULTI-STAGE SWEEP COMPLETE!",
    ]
    found = [next(at for at, line in enumerate(rest) if line.startswith(words)) for words in places]
    assert found == sorted(found)
    assert "Total runs: 40" in shown
    for words in ("Best config: ", "Recommended: ", "expected (95%: "):
        assert words in shown
