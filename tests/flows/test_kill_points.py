"""Killed with -9 at every named point, before and after its side effect, and resumed: exactly the budget is used."""

import random
import time
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import SWEEP, CommandLine, FinishedSweep, TrackedRun, check_budget
from tests.flows.kill_points import LOST_ANSWER, POINTS, SELF, Kill, Side, order_kills
from tests.flows.victims import VICTIMS, Victim, kill_victim

Configs = dict[str, dict[str, object]]


@pytest.fixture
def folder(workplace: Path) -> SweepFolder:
    return SweepFolder(workplace / "runs" / "killed")


@pytest.fixture(scope="module")
def stage1(commands: CommandLine, finished: FinishedSweep) -> Configs:
    """The configs of stage 1 of a sweep that nothing disturbed, by slot."""
    return list_stage1(run for runs in commands.list_runs(finished.folder).values() for run in runs)


def list_stage1(runs: Iterable[TrackedRun]) -> Configs:
    return {f"slot {run.name.index}": run.config for run in runs if run.name.stage == 1}


def go_on(folder: SweepFolder) -> tuple[str, ...]:
    """Resume the sweep, or start it where it was killed before there was anything to resume."""
    if folder.state_file.exists():
        return ("--resume", str(folder.state_file))
    return (*SWEEP, "--name", folder.name)


@pytest.mark.slow
def test_a_run_is_enqueued_once_whoever_dies(
    commands: CommandLine, folder: SweepFolder, workplace: Path, stage1: Configs
) -> None:
    """The quick sample: the orchestrator before and after it enqueues a run, in one sweep."""
    kill_in_turn(commands, folder, workplace, [("run enqueued", "before"), ("run enqueued", "after")])
    assert list_stage1(check_budget(commands, folder)) == stage1


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("side", get_args(Side))
def test_an_orchestrator_is_killed_at_every_point(
    commands: CommandLine, folder: SweepFolder, workplace: Path, stage1: Configs, side: Side
) -> None:
    """One sweep is killed at each of the points in turn, and resumed each time."""
    kill_in_turn(commands, folder, workplace, [(name, side) for name in POINTS])
    assert list_stage1(check_budget(commands, folder)) == stage1


def kill_in_turn(commands: CommandLine, folder: SweepFolder, place: Path, kills: list[tuple[str, Side]]) -> None:
    for number, (name, side) in enumerate(kills):
        kill = Kill(POINTS[name], side, SELF, place / f"kill-{number}")
        commands.run(*go_on(folder), code=-9, variables=order_kills([kill], commands.settings, folder))
        assert kill.marker.exists(), f"{side} {name} was never reached"
    commands.run(*go_on(folder))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", [victim for victim in VICTIMS if victim != "orchestrator"])
def test_another_process_is_killed(
    commands: CommandLine, folder: SweepFolder, workplace: Path, stage1: Configs, victim: Victim
) -> None:
    """The sweep goes on by itself; only with a dead Prefect server it may end, with the command that goes on."""
    points: tuple[tuple[str, Side], ...] = (
        ("sweep created", "before"), ("workers persisted", "after"), ("run enqueued", "before"),
        ("run enqueued", "after"), ("state written", "after"), ("sweep ended", "before"),
        ("top configs persisted", "before"), ("last run enqueued", "after"),
    )  # fmt: skip
    if victim in ("worker", "training"):
        points = points[3:5] + points[-1:]
    kills = [Kill(POINTS[name], side, victim, workplace / f"{name} {side}") for name, side in points]
    variables = order_kills(kills, commands.settings, folder)
    ends = 0
    while True:
        with commands.start(*go_on(folder), variables=variables) as driver:
            code = driver.wait(280)
        if code == 0:
            break
        assert victim == "prefect server", "the sweep did not go on by itself"
        ends += 1
        log = max(workplace.glob("command-*.log")).read_text()
        assert f"Resume with: multistage-sweep resume {folder.name}" in log, log
        assert ends <= len(kills)
    assert [kill.marker.name for kill in kills if not kill.marker.exists()] == []
    assert list_stage1(check_budget(commands, folder)) == stage1


@pytest.mark.slow
def test_a_server_that_dies_before_it_can_answer_doubles_no_slot(
    commands: CommandLine, folder: SweepFolder, workplace: Path, stage1: Configs
) -> None:
    kill_victim("embedded server", commands.settings.home, folder.path)
    kill = Kill(LOST_ANSWER, "after", SELF, workplace / "killed")
    commands.run(*go_on(folder), variables=order_kills([kill], commands.settings, folder), timeout=280)
    assert kill.marker.exists()
    assert list_stage1(check_budget(commands, folder, lost=0)) == stage1


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
def test_anything_is_killed_at_any_time(commands: CommandLine, folder: SweepFolder, stage1: Configs, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(5):
        with commands.start(*go_on(folder)) as driver:
            time.sleep(dice.uniform(2, 12))
            kill_victim(dice.choice(VICTIMS), commands.settings.home, folder.path)
            if dice.random() < 0.5:
                kill_victim("orchestrator", commands.settings.home, folder.path)
            driver.wait(280)
    commands.run(*go_on(folder))
    assert list_stage1(check_budget(commands, folder)) == stage1
