"""The package is upgraded between a beginning and a resume: an earlier commit begins the sweep, this one ends it."""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget, count_used, wait_for
from tests.flows.held_runs import SCRIPT, SWEEP, allow
from tests.flows.victims import kill_victim, list_workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]
ROOT = Path(__file__).parents[2]
EARLIER = "88a7bcdcb43ce18f49f5bf50d8381025193bd062"
"""Before options were declared once, and classes whose names persisted results held were moved."""
BEGIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from multistage.cli import main; main()"


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The earlier commit's files."""
    archive = subprocess.run(["git", "archive", EARLIER, "multistage", "flows", "tasks"], cwd=ROOT, capture_output=True)
    if archive.returncode:
        pytest.skip("this checkout does not hold the earlier commit")
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.fixture
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A user who has no services of this release yet: an earlier one refuses their data."""
    user = CommandLine(tmp_path_factory.mktemp("user"))
    try:
        yield user
    finally:
        left = user.end()
    assert not left, left


@pytest.mark.parametrize("used", [1, 4, 8], ids=["in-stage-1", "in-stage-2", "in-stage-3"])
def test_what_an_earlier_release_began_is_resumed_to_its_exact_budget(
    commands: CommandLine, workplace: Path, earlier: Path, used: int
) -> None:
    """Its services and its workers, whose files are gone from the path, are there still."""
    Path("train.py").write_text(SCRIPT)
    allow(used)
    folder = SweepFolder(workplace / "runs" / "mine")
    with Path("begin.log").open("w") as log:
        driver = subprocess.Popen(
            [sys.executable, "-P", "-c", BEGIN, str(earlier), *SWEEP],
            env={**commands.environment, "PYTHONPATH": str(earlier)},
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: driver.poll() is not None or count_used(folder) >= used, timeout=200)
        assert driver.poll() is None, Path("begin.log").read_text()
    finally:
        if driver.poll() is None:
            kill_victim("orchestrator", commands.settings.home, folder.path)
        driver.kill()
        driver.wait()
    allow(100)
    said = commands.run("--resume", str(folder.state_file), timeout=300)
    assert "Traceback" not in said.stdout + said.stderr
    check_budget(commands, folder, lost=0)
    assert not list_workers(folder)
