"""Real W&B clients, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

SCRIPTS = Path(__file__).parent / "scripts"
Result = TypeVar("Result")


def run_script(environment: dict[str, str], folder: Path, source: str, timeout: float = 60) -> Any:
    """Run Python code that imports wandb; the last line that it prints is its result, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", source],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.strip().rpartition("\n")[2])


def run_command(environment: dict[str, str], folder: Path, *command: str, timeout: float = 60) -> str:
    """Run a command of wandb's command line; returns what it prints."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "wandb"), *command],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def running_agent(
    environment: dict[str, str], folder: Path, sweep: str, count: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """W&B's own agent for a sweep, polling often; it and what it started end with the block."""
    command = [sys.executable, str(SCRIPTS / "agent.py"), sweep]
    with (folder / "agent.log").open("ab") as log:
        agent = subprocess.Popen(
            [*command, *([] if count is None else [str(count)])],
            env={**environment, "WANDB_AGENT_KILL_DELAY": "3", "WANDB_AGENT_DISABLE_FLAPPING": "true"},
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield agent
    finally:
        end_session(agent)


def end_session(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> None:
    """Kill a process and every process of its session, whatever process group it is in."""
    for entry in Path("/proc").glob("[0-9]*") if sys.platform == "linux" else ():
        try:
            session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
        except (OSError, ValueError, IndexError):
            continue
        if session == process.pid:
            send_kill(int(entry.name))
    if process.poll() is None:
        process.kill()
    process.wait(10)


def send_kill(pid: int) -> None:
    """Kill a process that may be gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def wait_for(look: Callable[[], Result], timeout: float = 30, every: float = 0.1) -> Result:
    """Look again and again until what is seen is true."""
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        assert time.monotonic() < deadline, f"Never came true; last seen: {seen!r}"
        time.sleep(every)
    return seen
