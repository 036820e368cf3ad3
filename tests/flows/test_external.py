"""Workers that nobody launched: they follow a sweep through its stages with its own key, and leave when it is done."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from multistage.services.hosts import find_address
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import COMMAND, SWEEP, CommandLine, check_budget, wait_for

pytestmark = pytest.mark.skipif(find_address() is None, reason="this machine has no network")


def read_key(folder: SweepFolder) -> str:
    text = wait_for(lambda: read(folder.logs / ".worker-variables"))
    found = re.search(r"^export WANDB_API_KEY=(\S+)$", text, re.MULTILINE)
    assert found is not None
    return shlex.split(found[1])[0]


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.mark.slow
def test_workers_that_come_by_themselves_train_a_sweep_and_leave(commands: CommandLine, workplace: Path) -> None:
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_digits_mlp")
    with commands.start(*SWEEP, "--launcher", "external") as driver:
        told = wait_for(lambda: read_waiting(folder), timeout=240)
        address = shlex.split(told.partition("`")[2].partition("`")[0])[-1]
        environment = commands.environment | {"WANDB_API_KEY": read_key(folder)}
        refused = subprocess.run(
            [COMMAND, "work", f"{address}x"], env=environment, capture_output=True, text=True, check=False
        )
        assert refused.returncode == 2
        assert "not 'multistage_sweep_digits_mlpx'" in refused.stderr
        refused = subprocess.run(
            [COMMAND, "work", address],
            env=commands.environment,
            input="0" * 40,
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 2
        assert "does not take this key for a worker's" in refused.stderr
        logs = [workplace / f"work-{number}.log" for number in (1, 2)]
        workers = []
        for log in logs:
            with log.open("w") as output:
                workers.append(subprocess.Popen([COMMAND, "work", address], env=environment, stderr=output))
        assert driver.wait(250) == 0
        assert [worker.wait(60) for worker in workers] == [0, 0]
    assert all("The sweep is done: exiting." in log.read_text() for log in logs)
    check_budget(commands, folder)
    assert folder.load_state().workers == ()
    assert not (folder.logs / ".worker-variables").exists(), "the key outlives what it was for"


def read_waiting(folder: SweepFolder) -> str:
    state = folder.read_state()
    return state.current_stage.waiting if state and state.current_stage else ""
