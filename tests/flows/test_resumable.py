"""Runs that are lost half-way go on from their checkpoint, in whichever attempt, and their slot is used once."""

from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget, wait_for
from tests.flows.victims import list_trainings

STEPS = 40
SCRIPT = f"""
import os, signal, sys, time
from pathlib import Path
import wandb

run = wandb.init(config={{"x": 0.0}})
place = Path(os.environ["MULTISTAGE_CHECKPOINT_DIR"])
saved = place / "step"
begin = int(saved.read_text()) if saved.exists() else 0
def leave(*_):
    run.mark_preempting()
    sys.exit(1)
if (Path("polite")).exists():
    signal.signal(signal.SIGTERM, leave)
run.config.update({{"begin": begin}}, allow_val_change=True)
for step in range(begin, {STEPS}):
    time.sleep(0.05)
    with (place / "log").open("a") as log:
        log.write(f"{{step}}\\n")
    (place / "new").write_text(str(step + 1))
    (place / "new").replace(saved)
    run.log({{"score": run.config["x"], "at": step}})
run.finish()
"""
SWEEP = (
    *("my:script", "--program", "train.py", "--params", "x:0-1", "--metric", "score"),
    *("--budget", "10", "--workers", "2", "--resumable"),
)


@pytest.mark.slow
@pytest.mark.parametrize("manner", ["killed", "preempted"])
def test_a_lost_run_goes_on_from_its_checkpoint(manner: str, commands: CommandLine, workplace: Path) -> None:
    Path("train.py").write_text(SCRIPT)
    if manner == "preempted":
        Path("polite").touch()
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_my_script")
    with commands.start(*SWEEP) as driver:
        logs = wait_for(lambda: [log for log in folder.checkpoints.glob("*/s1-*/log") if len(read(log)) > STEPS // 4])
        if manner == "killed":
            list_trainings(folder)[0].kill()
        else:
            list_trainings(folder)[0].terminate()
        assert driver.wait(200) == 0
    runs = check_budget(commands, folder, lost=1 if manner == "killed" else 0)
    assert logs
    everyone = [read(log) for log in folder.checkpoints.glob("*/s*/log")]
    assert len(everyone) == 10, "an attempt had another folder"
    again = [steps for steps in everyone if steps != list(range(STEPS))]
    assert all(set(steps) == set(range(STEPS)) and len(steps) <= STEPS + 1 for steps in again), again
    began = sorted(run.config["begin"] for run in runs)
    assert began[:-1] == [0] * 9
    assert began[-1] > 0, "nothing went on from a checkpoint"
    assert all(run.summary["at"] == STEPS - 1 for run in runs)


def read(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().splitlines()] if log.exists() else []
