"""A sweep that begins with what the field knows is killed twice, and trains what its prior had chosen."""

from pathlib import Path
from typing import Any

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget, count_used, wait_for
from tests.flows.held_runs import allow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SCRIPT = """
import time
from pathlib import Path
import wandb
with wandb.init() as run:
    Path(f"{run.project}-began-{run.id}").touch()
    while len(list(Path().glob(f"{run.project}-began-*"))) > int(Path("allowed").read_text()):
        time.sleep(0.02)
    run.log({"score": run.config["clip_coef"] - abs(run.config["learning_rate"] - 1e-3)})
"""
SWEEP = (
    *("--program", "ppo.py", "--params", "learning_rate,clip_coef,ent_coef", "--metric", "score", "--prior", "field"),
    *("--budget", "20", "--workers", "1", "--seed", "3"),
)


def read_configs(commands: CommandLine, folder: SweepFolder) -> dict[str, dict[str, Any]]:
    """Read what each slot was trained with."""
    names = folder.load_state().settings.space.names
    counted = check_budget(commands, folder)
    return {f"{run.name.stage}-{run.name.index}": {name: run.config[name] for name in names} for run in counted}


def test_a_killed_sweep_with_a_prior_trains_what_it_would_have_trained(commands: CommandLine, workplace: Path) -> None:
    Path("ppo.py").write_text(SCRIPT)
    allow(100)
    commands.run("whole:ppo", *SWEEP, "--name", "whole", timeout=400)
    whole = SweepFolder(workplace / "runs" / "whole")
    assert len(whole.load_state().settings.prior_configs) == whole.load_state().plan[0].prior == 3

    killed = SweepFolder(workplace / "runs" / "killed")
    given: tuple[str, ...] = ("killed:ppo", *SWEEP, "--name", "killed")
    for used in (2, 9):
        allow(used)
        with commands.start(*given) as driver:
            wait_for(lambda used=used: count_used(killed) >= used, timeout=240)  # type: ignore[misc]
            driver.kill()
            driver.wait()
        given = ("resume", "killed")
    allow(100)
    commands.run(*given, timeout=400)
    ours, theirs = read_configs(commands, killed), read_configs(commands, whole)
    assert ours.keys() == theirs.keys()
    first = [slot for slot in ours if slot.startswith("1-")]  # later ones depend on which runs had ended when asked
    assert [ours[slot] for slot in first] == [theirs[slot] for slot in first]
