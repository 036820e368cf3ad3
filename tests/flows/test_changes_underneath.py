"""A sweep's ground changes: Prefect's server hangs, and is killed."""

import signal
from pathlib import Path

import pytest

from multistage.services.prefect import build_prefect_service
from multistage.services.service_processes import find_session
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget, count_used, wait_for
from tests.flows.victims import kill_victim, list_workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
SCRIPT = """
import os, time
from pathlib import Path
import wandb
with wandb.init() as run:
    Path(f"began-{run.id}").touch()
    while len(list(Path().glob("began-*"))) > int(Path("allowed").read_text()):
        time.sleep(0.02)
    run.log({"score": run.config["x"]})
"""
SWEEP = (
    *("my:script", "--program", "train.py", "--params", "x:0-1", "--metric", "score"),
    *("--budget", "10", "--workers", "2", "--name", "mine"),
)


@pytest.fixture
def folder(workplace: Path) -> SweepFolder:
    Path("train.py").write_text(SCRIPT)
    allow(2)
    return SweepFolder(workplace / "runs" / "mine")


def allow(number: int) -> None:
    """Let so many runs end."""
    Path("allowed").write_text(str(number))


def count_begun() -> int:
    return len(list(Path().glob("began-*")))


def read_log() -> str:
    return "\n".join(log.read_text() for log in Path().glob("command-*.log"))


def test_prefects_server_hangs_and_is_killed_and_the_sweep_goes_on(commands: CommandLine, folder: SweepFolder) -> None:
    with commands.start(*SWEEP) as driver:
        wait_for(lambda: count_begun() >= 3)
        record = build_prefect_service(commands.settings).read_record()
        assert record is not None
        hung = find_session(record)
        for process in hung:
            process.send_signal(signal.SIGSTOP)
        try:
            allow(3)
            wait_for(lambda: count_used(folder) >= 3)
        finally:
            for process in hung:
                process.send_signal(signal.SIGCONT)
        wait_for(lambda: count_begun() >= 4)
        assert build_prefect_service(commands.settings).read_record() == record, "another was started beside it"
        kill_victim("prefect server", commands.settings.home, folder.path)
        allow(100)
        code = driver.wait(200)
    if code != 0:
        assert "Resume with: multistage-sweep resume mine" in read_log()
        commands.run("resume", "mine")
    assert "Traceback" not in read_log()
    check_budget(commands, folder, lost=0)
    assert not list_workers(folder)
