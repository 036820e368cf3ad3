"""Locks on files, which the kernel frees when their holder dies: taken at once, or not at all."""

import errno
import fcntl
from pathlib import Path
from typing import IO, Any

LOCKLESS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP})
"""What a disk without file locks answers: Lustre mounted without flock, NFS without a lock daemon, others."""


def try_lock(file: IO[Any]) -> bool:
    """Take an open file's lock, and tell whether that was possible: another process may hold it.

    Raises:
        OSError: Nobody can take it; `explain_failure` says why.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def explain_failure(path: Path, error: OSError) -> str:
    """Say in a sentence why a file's lock cannot be taken by anybody.

    Args:
        path: The file.
        error: What `try_lock` raised.
    """
    said = error.strerror or str(error)
    why = f"this disk has no file locks ({said})" if error.errno in LOCKLESS else said
    return f"{path} cannot be locked: {why}."
