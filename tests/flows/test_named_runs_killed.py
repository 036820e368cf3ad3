"""A script that names, tags, groups and describes its runs: whoever is killed, and whenever, its slots are known."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from multistage.domain.runs.slots import SlotName
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, TrackedRun, check_budget
from tests.flows.kill_points import SELF, Kill, KillPoint, Side, order_kills
from tests.flows.victims import Victim

SCRIPT = Path(__file__).parents[1] / "scripts" / "argparse_underscores.py"
NAMES = ("learning_rate", "use_amp", "n_steps")
BUDGET = 10
SWEEP = (
    *("my:named", "--program", str(SCRIPT), "--params", "learning_rate:0-1,use_amp:[true|false],n_steps:int:1-40"),
    *("--budget", str(BUDGET), "--finalists", "1", "--metric", "score", "--workers", "2"),
)
SLOTS = [SlotName(stage=stage, index=index) for stage, runs in ((1, 3), (2, 5), (3, 2)) for index in range(runs)]
"""In the order in which they are queued."""
FINALIST = SLOTS[-1]
SIDES: tuple[Side, ...] = get_args(Side)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seed", [1, 2])
def test_named_runs_keep_their_slots_whoever_is_killed(commands: CommandLine, workplace: Path, seed: int) -> None:
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_my_named")
    dice = random.Random(seed)
    others = [*kill_others(dice, workplace, "worker"), *kill_others(dice, workplace, "training")]
    kills = [*others, *kill_drivers(dice, workplace)]
    variables = order_kills(kills, commands.settings, folder)
    commands.run(*SWEEP, code=-9, variables=variables, timeout=400)
    for _ in range(2):
        commands.run("--resume", str(folder.state_file), code=-9, variables=variables, timeout=400)
    done = commands.run("--resume", str(folder.state_file), variables=variables, timeout=400)
    assert [kill.marker.name for kill in kills if not kill.marker.exists()] == []
    runs = check_budget(commands, folder)
    check_configs(runs)
    check_lists(folder, done.stdout)
    check_wishes(commands, folder)


def kill_drivers(dice: random.Random, place: Path) -> list[Kill]:
    """Kill the orchestrator at three random slots: before or after it writes down the slot, or enqueues the run."""
    kills = []
    for slot in dice.sample(SLOTS, 3):
        function, side = dice.choice(("enqueue", "_enqueue")), dice.choice(SIDES)
        kills.append(Kill(enqueueing(slot, function), side, SELF, place / f"driver {side} {function} {slot}"))
    return kills


def kill_others(dice: random.Random, place: Path, victim: Victim) -> list[Kill]:
    """Kill another at two random slots, when they or earlier ones of their stage are being trained."""
    slots = dice.sample(SLOTS[5:9], 2)
    return [Kill(enqueueing(slot, "_enqueue"), "after", victim, place / f"{victim} {slot}", 60) for slot in slots]


def enqueueing(slot: SlotName, function: str) -> KillPoint:
    return KillPoint("multistage.driver.sweep_tracker", f"SweepTracker.{function}", repr(slot))


def check_configs(runs: list[TrackedRun]) -> None:
    """Only the finalist is an earlier slot's config once more; an attempt at a slot has the slot's config."""
    configs = {(run.name.stage, run.name.index): tuple(run.config[name] for name in NAMES) for run in runs}
    again = configs.pop((FINALIST.stage, FINALIST.index))
    assert max(Counter(configs.values()).values()) == 1
    assert again in configs.values()
    for run in runs:
        assert run.summary["taken"] == repr(tuple(run.config[name] for name in NAMES))


def check_lists(folder: SweepFolder, output: str) -> None:
    """What was trained again is told: what was lost at the end, the contender in the report."""
    lost = sum(record.attempts_lost for record in folder.load_state().stages_completed)
    assert lost
    assert f"Lost to the machine and trained again: {lost} runs" in output
    assert "contenders-plot" in (folder.path / "report.html").read_text(encoding="utf-8")


def check_wishes(commands: CommandLine, folder: SweepFolder) -> None:
    """Every run that began is called, tagged and described as its author says."""
    state = folder.load_state()
    ours = [record.sweep_id for record in state.stages_completed]  # of the project's other sweeps nothing is promised
    with commands.open_tracker() as api:
        named = api.runs(
            f"{state.entity}/{state.project}", filters={"state": "finished", "sweep": {"$in": ours}}, lazy=False
        )
        assert len(named) >= BUDGET
        for run in named:
            assert run.name.startswith("theirs__"), json.dumps(run.name)
            requested = (run.group, run.job_type, run.notes, set(run.tags))
            assert requested == ("their-group", "train", "as its author wrote it", {"theirs", "v2"})
