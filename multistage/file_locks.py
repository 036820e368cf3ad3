"""Locks on files, which the kernel frees when their holder dies."""

import errno
import fcntl
import time
from pathlib import Path
from typing import IO, Any

LOCKLESS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP})
"""What a disk without file locks answers: Lustre mounted without flock, NFS without a lock daemon, others."""
GLANCE = 0.5
"""Seconds for which `is_held` of another process might keep a lock from who takes it; far more than that needs."""
PAUSE = 0.02
"""Seconds between two tries."""


def try_lock(file: IO[Any], patience: float = 0.0) -> bool:
    """Take an open file's lock, and tell whether that was possible: another process may hold it.

    Args:
        file: Opened to be written, which NFS wants.
        patience: Seconds for which it is tried; `GLANCE` where others look by `is_held`.

    Raises:
        OSError: Nobody can take it; `explain_failure` says why.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(PAUSE)
        else:
            return True


def is_held(path: Path) -> bool:
    """Whether a process holds a file's lock, on whichever machine that shares the disk.

    For an instant it takes the lock: what is on this machine is known by its pid.

    Raises:
        OSError: The file cannot be opened, or nobody can take its lock.
    """
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return False
    with file:
        return not try_lock(file)


def explain_failure(path: Path, error: OSError) -> str:
    """Say in a sentence why a file's lock cannot be taken by anybody.

    Args:
        path: The file.
        error: What `try_lock` raised.
    """
    said = error.strerror or str(error)
    why = f"this disk has no file locks ({said})" if error.errno in LOCKLESS else said
    return f"{path} cannot be locked: {why}."
