"""What survives when processes of a sweep are killed at random, for as long as you like.

    python -m benchmarks.chaos [--minutes 10] [--seed 0]

Sweeps of ``digits:mlp`` run one after the other. Every few seconds a random victim dies by SIGKILL: the orchestrator, a
worker, a training, the embedded server or the Prefect server. A sweep whose orchestrator has ended is resumed. At its
end the tracker is asked whether exactly the budget was used, each slot once, and stage 1 trained what an undisturbed
sweep of the same seed would have.
"""

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from multistage.search.stage1 import plan_stage1
from multistage.services import ensure_wandb_server
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, TrackedRun, check_budget
from tests.flows.victims import VICTIMS, kill_victim

BUDGET = 20
SWEEP = ("digits:mlp", "--params", "learning_rate,alpha", "--budget", str(BUDGET), "--train-arg", "epochs=20")
PAUSE = (1.0, 15.0)
"""Least and most seconds between two kills."""


class Chaos:
    """A user whose processes die.

    Args:
        commands: The user.
        seed: Of victims and times.
    """

    def __init__(self, commands: CommandLine, seed: int) -> None:
        self._commands = commands
        self._dice = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.resumes = 0
        self.runs: Counter[str] = Counter()

    def survive(self, folder: SweepFolder, deadline: float) -> None:
        """Take one sweep to its end; nothing is killed after the deadline.

        Raises:
            AssertionError: If something was lost or doubled.
        """
        arguments: tuple[str, ...] = (*SWEEP, "--name", folder.name)
        while (state := folder.read_state()) is None or state.status != "completed":
            if state is not None:
                self.resumes += 1
                arguments = ("--resume", str(folder.state_file))
            with self._commands.start(*arguments) as driver:
                while driver.poll() is None:
                    pause_until = time.monotonic() + self._dice.uniform(*PAUSE)
                    while driver.poll() is None and time.monotonic() < pause_until:
                        time.sleep(0.05)
                    victim = self._dice.choice(VICTIMS)
                    if time.monotonic() < deadline and kill_victim(victim, self._commands.settings.home, folder.path):
                        self.kills[victim] += 1
        ensure_wandb_server(self._commands.settings)  # it may have died after the sweep's end
        counted = check_budget(self._commands, folder)
        check_stage1(folder, counted)
        attempts = [run for runs in self._commands.list_runs(folder).values() for run in runs]
        self.runs["settled"] += len(counted)
        self.runs["lost and trained again"] += len(attempts) - len(counted)


def check_stage1(folder: SweepFolder, runs: list[TrackedRun]) -> None:
    """Check that stage 1 trained the configs of an undisturbed sweep."""
    state = folder.load_state()
    settings, stage = state.settings, state.plan[0]
    planned = plan_stage1(
        settings.space, settings.stage1, settings.grid_resolution, stage.runs, settings.seed, stage.defaults or None
    )
    trained = {run.name.index: run.config for run in runs if run.name.stage == 1}
    for index, config in enumerate(planned):
        assert {name: trained[index][name] for name in config} == config, f"slot {index} trained another config"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    deadline = began + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="chaos-") as place:
        os.chdir(place)
        commands = CommandLine(Path(place) / "user")
        chaos = Chaos(commands, options.seed)
        sweeps = 0
        try:
            while time.monotonic() < deadline:
                chaos.survive(SweepFolder(Path(place) / "runs" / f"sweep-{sweeps}"), deadline)
                sweeps += 1
        finally:
            left = commands.end()
    print(f"{sweeps} sweeps of {BUDGET} runs survived {sum(chaos.kills.values())} kills and {chaos.resumes} resumes")
    for victim, count in sorted(chaos.kills.items()):
        print(f"  killed {victim}: {count}")
    for what, count in chaos.runs.items():
        print(f"  runs {what}: {count}")
    print(f"  processes left behind: {len(left)}")
    print(f"  minutes: {(time.monotonic() - began) / 60:.1f}")


if __name__ == "__main__":
    main()
