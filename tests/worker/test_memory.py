"""Out of memory is the config's fault, and told from a training that something else killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import create_autospec

import pytest
import wandb

from multistage.worker import memory
from multistage.worker.memory import MemoryGuard, find_kill_counter, measure_memory, read_share
from multistage.worker.trainings import Training
from tests.queued_sweeps import list_runs, queue_runs, wait_for_state, write_script

HUNGRY = """
import signal
run = wandb.init()
if run.config["x"] == 1:
    filled = bytearray(b"x") * 2**30
    time.sleep(60)
if run.config["x"] == 2:
    os.kill(os.getpid(), signal.SIGKILL)
run.log({"score": 1})
run.finish()
"""


def work(tracker: dict[str, str], folder: Path, sweep: str, memory: float, group: Path | None = None) -> str:
    """Let a worker train a sweep to its end, in a memory group of its own if there is one; returns its log."""
    done = subprocess.run(
        [sys.executable, "-m", "multistage.worker", "--sweep", sweep, "--idle", "1", "--memory", str(memory)],
        env={**tracker, "MULTISTAGE_RUN_LOGS": str(folder / "runs")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=None if group is None else lambda: (group / "cgroup.procs").write_text(str(os.getpid())) and None,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_config_that_needs_too_much_fails_and_a_killed_training_is_lost(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    script = write_script(workplace / "train.py", HUNGRY)
    sweep = queue_runs(api, script.name, [{"x": 1}, {"x": 2}, {"x": 3}])
    log = work(tracker, workplace, sweep, memory=1.0)
    hungry = wait_for_state(sweep, "run-0", "failed")
    assert hungry.summary["error"].startswith("Out of memory: ")
    assert hungry.summary["error"] in log
    runs = list_runs(sweep)
    assert runs["run-1"].state in ("running", "crashed")  # the server waits a minute for its heartbeat
    assert runs["run-2"].state == "finished"


def test_a_bundled_training_fails_alike(api: wandb.Api, tracker: dict[str, str], workplace: Path) -> None:
    sweep = queue_runs(api, "digits:mlp", [{"epochs": 100_000}])
    work(tracker, workplace, sweep, memory=0.05)
    assert wait_for_state(sweep, "run-0", "failed").summary["error"].startswith("Out of memory")


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A group of processes that the kernel grants 700 MiB."""
    base = Path("/sys/fs/cgroup/memory")
    limit = "memory.limit_in_bytes"
    if not base.is_dir():
        base, limit = Path("/sys/fs/cgroup"), "memory.max"
    group = base / f"multistage-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(700 * 2**20))
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"this user may limit no memory: {error}")
    yield group
    deadline = time.monotonic() + 30
    while group.is_dir():
        assert time.monotonic() < deadline, "its processes do not end"
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        with suppress(OSError):  # busy, until the last one is gone
            group.rmdir()


@pytest.mark.slow
def test_the_kernel_s_own_kill_is_known(
    api: wandb.Api, tracker: dict[str, str], workplace: Path, memory_group: Path
) -> None:
    script = write_script(workplace / "train.py", HUNGRY)
    sweep = queue_runs(api, script.name, [{"x": 1}, {"x": 3}])
    work(tracker, workplace, sweep, memory=4.0, group=memory_group)
    assert "the kernel ended it" in wait_for_state(sweep, "run-0", "failed").summary["error"]
    assert list_runs(sweep)["run-1"].state == "finished"


@pytest.mark.parametrize(
    ("line", "file", "found"),
    [
        ("0::/box", "sys/fs/cgroup/box/memory.events", True),
        ("0::/outside/box", "sys/fs/cgroup/memory.events", True),
        ("4:memory:/box", "sys/fs/cgroup/memory/box/memory.oom_control", True),
        ("3:cpu:/box", "sys/fs/cgroup/cpu/box/memory.events", False),
    ],
    ids=["version 2", "mounted as the root", "version 1", "no memory group"],
)
def test_the_kernel_s_count_is_found(tmp_path: Path, line: str, file: str, found: bool) -> None:
    assert find_kill_counter(tmp_path) is None
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{line}\n")
    counter = tmp_path / file
    counter.parent.mkdir(parents=True)
    counter.write_text("low 0\noom_kill 2\n")
    assert find_kill_counter(tmp_path) == (counter if found else None)
    guard = MemoryGuard(1.0, tmp_path)
    assert guard.explain("a", -9) == ""
    counter.write_text("low 0\noom_kill 3\n")
    assert guard.explain("a", 0) == ""
    counter.write_text("low 0\noom_kill 4\n")
    assert bool(guard.explain("a", 137)) == found


def test_memory_is_measured_with_everything_below(tmp_path: Path) -> None:
    before = measure_memory()
    code = "import sys; filled = bytearray(b'x') * 2**26; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert measure_memory() > before + 2**25, "half of it, since others may give some back meanwhile"
        child.communicate()
    assert read_share(1, tmp_path) is None


def test_the_exact_measure_is_taken_near_the_limit_only_and_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[float] = []

    def measure_slowly() -> int:
        began = time.monotonic()
        while time.monotonic() < began + 0.05:
            pass
        taken.append(time.monotonic())
        return 0

    monkeypatch.setattr(memory, "measure_memory", measure_slowly)
    training = create_autospec(Training, instance=True, run_id="a")
    roomy, narrow = MemoryGuard(1000.0), MemoryGuard(1e-6)
    roomy.look([training])
    assert not taken
    deadline = time.monotonic() + 60
    while len(taken) < 2:
        assert time.monotonic() < deadline
        narrow.look([training])
    assert taken[1] - taken[0] > 9 * 0.05
    assert not training.kill.called, "the processes share what their sizes count twice"
