"""What a terminal shows of a sweep from its start over Ctrl+C and a resume to its end, beside how it was found good.

``UPDATE_SCREENS=1`` writes the screens anew: look at them before they are kept.
"""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import COMMAND, CommandLine, check_budget, wait_for
from tests.terminal.terminals import Terminal, mask

SCREENS = Path(__file__).parent / "screens"
PATIENCE = 240
"""Seconds that a busy machine has for each moment."""
SCRIPT = """
import time
from pathlib import Path
import wandb
with wandb.init() as run:
    run.log({"score": run.config["learning_rate"]})
    while run.name >= Path("held").read_text():
        time.sleep(0.05)
    run.log({"score": run.config["learning_rate"]})
"""
SWEEP = (
    *("my:script", "--program", "train.py", "--params", "learning_rate:0-1,momentum:0-1,batch_size:int:16-128"),
    *("--metric", "score", "--budget", "10", "--workers", "2", "--name", "mine"),
)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    user = CommandLine(tmp_path_factory.mktemp("user"))
    try:
        yield user
    finally:
        left = user.end()
    assert not left, left


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose path is as long wherever this runs, as a terminal breaks lines by it."""
    folder = Path(tempfile.mkdtemp(prefix="screen-", dir="/tmp"))
    monkeypatch.chdir(folder)
    yield folder
    shutil.rmtree(folder)


def hold(stage: str) -> None:
    """Let no run of this stage or a later one end."""
    Path("held.new").write_text(stage)
    Path("held.new").replace("held")


def check(terminal: Terminal, moment: str, since: str = "") -> None:
    """Compare what is shown with what was kept, from the first line on that begins so."""
    kept = SCREENS / f"{moment}_{terminal.width}.txt"
    lines = terminal.read()
    shown = mask(lines[next(at for at, line in enumerate(lines) if line.startswith(since)) :])
    if os.environ.get("UPDATE_SCREENS"):
        kept.write_text(shown)
    assert shown == kept.read_text(), f"{moment} at {terminal.width} columns is shown as:\n{shown}"


def see(terminal: Terminal, stage: int, counts: str) -> Callable[[], bool]:
    """Return a look at whether a stage has these counts, and two trainings of it that have logged are shown."""

    def look() -> bool:
        lines = terminal.read()
        has_counts = any(re.match(rf"Stage {stage} .* {counts}(  |$)", line) for line in lines)
        return has_counts and sum(bool(re.match(rf"s{stage}-\d+ +[\d.]+ +\d+ ", line)) for line in lines) == 2

    return look


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("width", [80, 120])
def test_every_moment_of_a_sweep_reads_well(commands: CommandLine, place: Path, width: int) -> None:
    Path("train.py").write_text(SCRIPT)
    folder = SweepFolder(place / "runs" / "mine")
    commands.run("up")
    hold("s1")
    with Terminal([COMMAND, *SWEEP], commands.environment, width) as terminal:
        wait_for(see(terminal, 1, "2 running, 1 queued"), PATIENCE)
        check(terminal, "start")
        hold("s2")
        wait_for(see(terminal, 2, "2 running, 2 queued"), PATIENCE)
        check(terminal, "running")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait(PATIENCE) == 130
        check(terminal, "interrupted")
    with Terminal([COMMAND, "resume", "mine"], commands.environment, width) as terminal:
        wait_for(see(terminal, 2, "2 running, 2 queued"), PATIENCE)
        check(terminal, "resumed")
        hold("s9")
        assert terminal.wait(PATIENCE) == 0
        check(terminal, "end", since="=====")  # how its sentences break before depends on values
    check_budget(commands, folder, lost=2)
