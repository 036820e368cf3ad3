"""A sweep's ground changes: Prefect's server hangs and is killed, its folder is moved, the clock is set back."""

import shutil
import signal
import struct
import subprocess
from pathlib import Path

import pytest

from multistage.services.prefect import build_prefect_service
from multistage.services.service_processes import find_session
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget, count_used, wait_for
from tests.flows.held_runs import SCRIPT, SWEEP, allow, count_begun
from tests.flows.victims import kill_victim, list_workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CLOCK = Path(__file__).parents[1] / "stand_ins" / "clock.c"
HOUR = 3600


@pytest.fixture
def folder(workplace: Path) -> SweepFolder:
    Path("train.py").write_text(SCRIPT)
    allow(2)
    return SweepFolder(workplace / "runs" / "mine")


def read_log() -> str:
    return "\n".join(log.read_text() for log in Path().glob("command-*.log"))


def test_prefects_server_hangs_and_is_killed_and_the_sweep_goes_on(commands: CommandLine, folder: SweepFolder) -> None:
    with commands.start(*SWEEP) as driver:
        wait_for(lambda: count_begun() >= 3, timeout=240)
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


def kill_in_stage_2(commands: CommandLine, folder: SweepFolder) -> None:
    """Begin a sweep, and kill its driver while two runs train."""
    with commands.start(*SWEEP) as driver:
        wait_for(lambda: count_begun() >= 2, timeout=240)
        allow(4)
        wait_for(lambda: count_used(folder) >= 3)
        driver.kill()
        driver.wait()


def test_a_sweep_whose_folder_was_moved_goes_on_where_it_is(commands: CommandLine, folder: SweepFolder) -> None:
    kill_in_stage_2(commands, folder)
    Path("elsewhere").mkdir()
    moved = SweepFolder(folder.path.rename(Path("elsewhere", "mine").absolute()))
    allow(100)
    commands.run("--resume", str(moved.state_file), timeout=300)
    check_budget(commands, moved)
    assert not folder.path.exists() or [path.name for path in folder.path.iterdir()] == ["logs"], (
        "of workers that live on"
    )
    assert not list_workers(moved)
    assert "10 of 10" in commands.run("status", str(moved.path)).stdout


class SetClock:
    """The time of day for all that is started with `variables`, which jumps for all of it at once.

    Args:
        folder: For the library that does it, and the file that says by how much.
    """

    def __init__(self, folder: Path) -> None:
        library = folder / "clock.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, CLOCK], check=True, timeout=60)
        self._file = folder / "clock"
        self._file.write_bytes(struct.pack("q", 0))
        self.variables = {"LD_PRELOAD": str(library), "TEST_CLOCK": str(self._file)}

    def move(self, seconds: int) -> None:
        """Let it be so many seconds later than it is, for the processes that run, too."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", seconds))


@pytest.fixture
def clock(tmp_path_factory: pytest.TempPathFactory) -> SetClock:
    if shutil.which("cc") is None:
        pytest.skip("a C compiler is not installed")
    return SetClock(tmp_path_factory.mktemp("clock"))


def test_the_clock_is_set_back_by_an_hour_while_runs_train(
    commands: CommandLine, folder: SweepFolder, clock: SetClock
) -> None:
    """For both services, the driver and the trainings; wandb-core, a static binary, keeps its own clock."""
    with commands.start(*SWEEP, variables=clock.variables) as driver:
        wait_for(lambda: count_begun() >= 2, timeout=240)
        allow(4)
        wait_for(lambda: count_used(folder) >= 3)
        clock.move(-HOUR)
        allow(100)
        assert driver.wait(300) == 0
    check_budget(commands, folder, lost=0)
    assert "Traceback" not in read_log()
    assert not list_workers(folder)


@pytest.mark.parametrize("stopped", [False, True], ids=["services-run-on", "services-begin-anew"])
def test_a_resume_an_hour_before_the_sweep_began_is_exact(
    commands: CommandLine, folder: SweepFolder, clock: SetClock, stopped: bool
) -> None:
    kill_in_stage_2(commands, folder)
    if stopped:
        commands.run("down", "--force")
    allow(100)
    clock.move(-HOUR)
    commands.run("resume", "mine", variables=clock.variables, timeout=300)
    check_budget(commands, folder)
    assert not list_workers(folder)
