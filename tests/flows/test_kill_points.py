"""Killed with -9 at every named point, before and after its side effect, and resumed: exactly the budget is used."""

import random
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from multistage.orchestrator.sweep_folder import SweepFolder
from tests.flows.command_line import SWEEP, CommandLine, FinishedSweep, TrackedRun, check_budget
from tests.flows.kill_points import POINTS, Side, order_kill
from tests.flows.victims import VICTIMS, Victim, kill_victim

SAMPLE = ("run enqueued",)
"""Points that the quick tests go through too."""
SEEDS = (1, 2, 3)


@pytest.fixture
def folder(workplace: Path) -> SweepFolder:
    return SweepFolder(workplace / "runs" / "killed")


@pytest.fixture(scope="module")
def stage1(commands: CommandLine, finished: FinishedSweep) -> dict[str, dict[str, object]]:
    """The configs of stage 1 of a sweep that nothing disturbed, by slot."""
    return list_stage1(run for runs in commands.list_runs(finished.folder).values() for run in runs)


def list_stage1(runs: Iterable[TrackedRun]) -> dict[str, dict[str, object]]:
    return {f"slot {run.name.index}": run.config for run in runs if run.name.stage == 1}


def go_on(folder: SweepFolder) -> tuple[str, ...]:
    """Resume the sweep, or start it where it was killed before there was anything to resume."""
    if folder.state_file.exists():
        return ("--resume", str(folder.state_file))
    return (*SWEEP, "--name", folder.name)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in SAMPLE else pytest.mark.slow) for name in POINTS]
)
def test_an_orchestrator_is_killed_before_and_after(
    commands: CommandLine, folder: SweepFolder, workplace: Path, stage1: dict[str, dict[str, object]], name: str
) -> None:
    sides: tuple[Side, ...] = ("before", "after")
    for side in sides:
        order = order_kill(POINTS[name], side, "orchestrator", commands.settings, folder, workplace / side)
        commands.run(*go_on(folder), code=-9, variables=order)
        assert (workplace / side).exists(), "the point was never reached"
    commands.run(*go_on(folder))
    assert list_stage1(check_budget(commands, folder)) == stage1


@pytest.mark.slow
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("name", ["workers persisted", "run enqueued", "state written", "count persisted"])
@pytest.mark.parametrize("victim", [victim for victim in VICTIMS if victim != "orchestrator"])
def test_another_process_is_killed(
    commands: CommandLine,
    folder: SweepFolder,
    workplace: Path,
    stage1: dict[str, dict[str, object]],
    victim: Victim,
    name: str,
    side: Side,
) -> None:
    """The sweep goes on by itself; only with a dead Prefect server it may end, with the command that goes on."""
    marker = workplace / "struck"
    order = order_kill(POINTS[name], side, victim, commands.settings, folder, marker)
    with commands.start(*go_on(folder), variables=order) as driver:
        code = driver.wait(150)
    assert marker.exists(), "the point was never reached"
    if victim == "prefect server" and code != 0:
        (log,) = workplace.glob("command-*.log")
        assert f"multistage-sweep --resume {folder.state_file}" in log.read_text()
        assert "Traceback" not in log.read_text()
        code = commands.run(*go_on(folder)).returncode
    assert code == 0
    assert list_stage1(check_budget(commands, folder)) == stage1


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_anything_is_killed_at_any_time(
    commands: CommandLine, folder: SweepFolder, stage1: dict[str, dict[str, object]], seed: int
) -> None:
    dice = random.Random(seed)
    for _ in range(4):
        with commands.start(*go_on(folder)) as driver:
            time.sleep(dice.uniform(2, 12))
            kill_victim(dice.choice(VICTIMS), commands.settings.home, folder.path)
            driver.kill() if dice.random() < 0.5 else driver.wait(150)
    commands.run(*go_on(folder))
    assert list_stage1(check_budget(commands, folder)) == stage1
