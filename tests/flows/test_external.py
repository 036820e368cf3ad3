"""Workers that nobody launched: they follow a sweep through its stages with its own key, and leave when it is done."""

import re
import shlex
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from multistage.services.hosts import find_address
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import COMMAND, SWEEP, CommandLine, check_budget, count_used, wait_for
from tests.ssh_hosts import SshHosts, needs_ssh

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
        address = read_address(folder)
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


FOLLOWING = (sys.executable, "-P", "-m", "multistage.worker.following")
"""What `multistage-sweep work` does, where only a worker is installed."""


class Host:
    """Where a worker follows a sweep that somebody started there by ssh, with the key on the standard input.

    Args:
        folder: Its own, in which it works.
        name: As ssh takes it.
        key: The sweep's own.
    """

    def __init__(self, folder: Path, name: str, key: str) -> None:
        self.folder = folder
        self.name = name
        self._key = key
        self.folder.mkdir()

    def start(self, *command: str) -> "subprocess.Popen[str]":
        line = f"cd {shlex.quote(str(self.folder))} && exec {shlex.join(command)}"
        with (self.folder / "said").open("a") as output:
            started = subprocess.Popen(
                ["ssh", self.name, line], stdin=subprocess.PIPE, stdout=output, stderr=output, text=True
            )
        assert started.stdin is not None
        started.stdin.write(f"{self._key}\n")
        started.stdin.close()
        return started

    def list_processes(self) -> list[psutil.Process]:
        """All that works there, by its folder."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if Path(process.cwd()).is_relative_to(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def lose_power(self) -> None:
        doomed = self.list_processes()
        assert any("multistage.worker" in process.cmdline() for process in doomed), "no worker was there"
        for process in doomed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(doomed, 10)

    def count_begun(self) -> int:
        return read(self.folder / "said").count("was handed out")


@needs_ssh
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hosts_train_a_sweep_with_its_key_though_one_is_lost_in_a_run(
    commands: CommandLine, workplace: Path, ssh_hosts: SshHosts
) -> None:
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_digits_mlp")
    slow = (*SWEEP[:-2], "--train-arg", "epochs=40")
    with commands.start(*slow, "--launcher", "external") as driver, ExitStack() as stack:
        address = read_address(folder)
        key = read_key(folder)
        one, other = Host(workplace / "one", "host1", key), Host(workplace / "other", "host2", key)
        lost = stack.enter_context(one.start(*FOLLOWING, address))
        stays = stack.enter_context(other.start(COMMAND, "work", address))
        wait_for(lambda: count_used(folder) >= 1 and one.count_begun() and other.count_begun(), timeout=240)
        begun = one.count_begun()
        wait_for(lambda: one.count_begun() > begun, timeout=120)
        one.lose_power()
        assert lost.wait(30) != 0
        back = stack.enter_context(one.start(*FOLLOWING, address))
        assert driver.wait(500) == 0
        assert [worker.wait(60) for worker in (back, stays)] == [0, 0]
    for host in (one, other):
        assert read(host.folder / "said").endswith("The sweep is done: exiting.\n")
        wait_for(lambda place=host: not place.list_processes(), timeout=30)  # type: ignore[misc]
        assert key not in read(host.folder / "said")
    check_budget(commands, folder)
    assert sum(record.attempts_lost for record in folder.load_state().stages_completed) >= 1
    assert ssh_hosts.list_clients() == []


def read_address(folder: SweepFolder) -> str:
    """What to work for, as the sweep itself tells it."""
    told = wait_for(lambda: read_waiting(folder), timeout=240)
    return shlex.split(told.partition("`")[2].partition("`")[0])[-1]


def read_waiting(folder: SweepFolder) -> str:
    state = folder.read_state()
    return state.current_stage.waiting if state and state.current_stage else ""
