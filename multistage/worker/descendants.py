"""What a training has started: found and ended with it, also where it has left its group, its session or its parent.

Everything that a program executes inherits its mark (``MULTISTAGE_RUN``). On Linux the worker is, besides, the parent
of all orphans below it, so that a process without the mark (started with an environment of its own) is found, too;
elsewhere the mark alone tells. wandb's own helpers are never ended: they send a run's last rows, and leave by
themselves.
"""

import ctypes
import os
import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

import psutil

from multistage.worker.conventions import CAN_FORK, RUN_VARIABLE
from multistage.worker.trainings import PATIENCE

PR_SET_CHILD_SUBREAPER = 36
"""``man 2 prctl``."""
WANDB_CORE = "wandb-core"
WANDB = "wandb-"
"""How the names of wandb's helpers begin: wandb-core, and the wandb-symon that watches the machine for it."""
NATURAL_END = 0.5
"""Seconds in which helpers leave by themselves when their training has ended, as those of multiprocessing do."""
KILL_PATIENCE = 2.0
"""Seconds that the kernel has to end what was killed."""

_RUN_FILE = re.compile(r"/run-([^/]+)\.wandb$")
"""What wandb-core writes while a run is in progress, and closes when it is finished."""


def adopt_orphans() -> None:
    """Make this process the parent of all orphans below it (Linux only), to be ended with `end_orphans`."""
    if CAN_FORK:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def end_orphans(own: Collection[int]) -> None:
    """Take note of orphans that have died, so that they do not stay as zombies.

    Args:
        own: Children that somebody else waits for.
    """
    if not CAN_FORK:
        return
    for child in psutil.Process().children():
        with suppress(psutil.Error, ChildProcessError):
            if child.pid not in own and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)


def list_descendants(run_id: str, own: Collection[int] = ()) -> list[psutil.Process]:
    """List the living processes that a program has started, wandb's apart, the program itself included if it lives.

    Args:
        run_id: The program's run.
        own: This process's children that are no orphans of the program.
    """
    found = {process.pid: process for process in _list_marked(run_id)}
    if CAN_FORK:
        for child in psutil.Process().children():
            if child.pid not in own:
                found |= {one.pid: one for one in (child, *_list_below(child))}
    return [process for process in found.values() if is_running(process) and not _is_wandb(process)]


def end_descendants(run_id: str, own: Collection[int] = (), patience: float = PATIENCE) -> Sequence[str]:
    """End what a program has left behind: SIGTERM, then SIGKILL.

    Args:
        run_id: The program's run.
        own: This process's children that are no orphans of the program.
        patience: Seconds from the one to the other.

    Returns:
        The command lines of those that did not leave by themselves.
    """
    left = wait_for_end(list_descendants(run_id, own), NATURAL_END)
    if not left:
        return ()
    names = [name for process in left if (name := _describe(process))]
    for process in left:
        with suppress(psutil.Error):
            process.terminate()
    wait_for_end(left, patience)
    # Searched again, for what was started meanwhile.
    left = list_descendants(run_id, own)
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    wait_for_end(left, KILL_PATIENCE)
    return names


def trains_on(run_id: str) -> bool:
    """Return whether a run is in progress in a process that its program has left behind."""
    for core in find_cores(run_id):
        with suppress(psutil.Error, OSError, ValueError, IndexError):
            words = core.cmdline()
            client = psutil.Process(int(words[words.index("--pid") + 1]))
            if run_id in _list_written(core) and is_running(client):
                return True
    return False


def find_cores(run_id: str) -> list[psutil.Process]:
    """Find the wandb-cores that a program has started."""
    return [process for process in _list_marked(run_id) if _read_name(process) == WANDB_CORE]


def list_open_runs(run_id: str) -> set[str]:
    """List the ids of the wandb runs that a program has in progress, as far as this machine tells."""
    found: set[str] = set()
    for core in find_cores(run_id):
        with suppress(psutil.Error, OSError):
            found |= _list_written(core)
    return found


def _list_written(core: psutil.Process) -> set[str]:
    return {match[1] for file in core.open_files() if (match := _RUN_FILE.search(file.path))}


def _list_marked(run_id: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(RUN_VARIABLE) == run_id and process.pid != os.getpid():
                yield process


def _list_below(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def _is_wandb(process: psutil.Process) -> bool:
    """Return wandb's helpers, and what they have started."""
    with suppress(psutil.Error):
        parent = process.parent()
        return _read_name(process).startswith(WANDB) or (parent is not None and _read_name(parent).startswith(WANDB))
    return False


def _read_name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return process.name()
    return ""


def _describe(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())[:100]
    return ""


def is_running(process: psutil.Process) -> bool:
    """Return whether a process lives; a zombie does not: its parent may never look."""
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def wait_for_end(processes: Sequence[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait until all have ended; returns those that have not."""
    deadline = time.monotonic() + timeout
    while (left := [process for process in processes if is_running(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left
