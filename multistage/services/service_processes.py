"""Processes that outlive who started them: in sessions of their own, known again, ended with all below them."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from multistage.domain.model import Model
from multistage.domain.workers.variables import spare_loopback
from multistage.errors import ServiceError
from multistage.machines import describe_machine, is_here
from multistage.pids import compare_start, find_living, find_process
from multistage.process_starts import read_start

POLL_INTERVAL = 0.05
"""Seconds between two looks at a process that is awaited."""
GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""

_children: set[int] = set()
"""What this process started, and must reap."""


class ProcessRecord(Model):
    """How a process is known again.

    Args:
        pid: Its number; it leads a session of its own.
        process_started_at: When it started, as `read_start` told it: a later process with its number has another start.
        machine: Where, as `describe_machine` told it; empty where it was written before this was noted.
    """

    pid: int
    process_started_at: float
    machine: str = ""


def start_process(
    command: Sequence[str], directory: Path, environment: Mapping[str, str], log: Path, held: IO[bytes], umask: int = -1
) -> ProcessRecord:
    """Start a process that outlives this one and its terminal; all that it prints goes to a new log.

    Args:
        command: What is run.
        directory: Where.
        environment: The whole of it.
        log: Made anew, for its owner alone.
        held: A file that it keeps open, so that the file's lock is held for as long as it lives.
        umask: Which bits the files that it makes don't get; -1 for this process's own umask.
    """
    environment = dict(environment)
    spare_loopback(environment)
    log.touch(0o600)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(held.fileno(),),
            umask=umask,
        )
    _children.add(process.pid)
    # From here on it is known by its record: nobody waits for this handle, which else warns of a living process.
    process.returncode = 0
    return ProcessRecord(pid=process.pid, process_started_at=read_start(process.pid), machine=describe_machine())


def is_alive(record: ProcessRecord) -> bool:
    """Whether the recorded process itself runs on this machine, rather than a later one with its pid."""
    if not is_here(record.machine):
        return False
    reap(record.pid)
    return find_living(record.pid, record.process_started_at) is not None


def reap(pid: int) -> None:
    """Let a child that has ended go; until then its number stays taken."""
    if pid in _children:
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            # Another thread was quicker.
            ended = True
        if ended:
            _children.discard(pid)


def stop_session(record: ProcessRecord, name: str) -> bool:
    """End the recorded process and every process of its session: SIGTERM first, SIGKILL after the grace.

    Returns:
        Whether anything ran.

    Raises:
        ServiceError: If something survives SIGKILL.
    """
    processes = find_session(record)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        deadline = time.monotonic() + GRACE
        while (left := find_session(record)) and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL)
        if not left:
            reap(record.pid)
            return bool(processes)
        processes = left
    pids = ", ".join(str(process.pid) for process in processes)
    raise ServiceError(f"The {name} does not end: pid {pids} survived SIGKILL.", "Look at it with ps.")


def find_session(record: ProcessRecord) -> list[psutil.Process]:
    """List the recorded process and those of its session, also where their leader has died.

    As long as one member lives, the kernel gives the session's number to no other process. Those of another machine
    are not seen.
    """
    if not is_here(record.machine):
        return []
    reap(record.pid)
    leader = find_process(record.pid, record.process_started_at)
    if leader is None and psutil.pid_exists(record.pid):
        return []
    members = []
    for process in psutil.process_iter():
        try:
            if (
                os.getsid(process.pid) == record.pid
                and compare_start(process, record.process_started_at) >= 0
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                members.append(process)
        except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            continue
    return members
