"""What is said where the operating system refuses something that no command expected."""

import errno
import os
import select
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from multistage.errors import MultistageError, UsageError

STANDARD_OUTPUT = 1
REMEDIES: Mapping[int, str] = MappingProxyType(
    {
        errno.ENOSPC: "Free some space.",
        errno.EDQUOT: "Free some space, or ask for a larger quota.",
        errno.EMFILE: "Allow more open files: `ulimit -n 1024`.",
        errno.ENFILE: "End what has many files open on this machine.",
    }
)
"""By the number of an error that names no file; the others are faults of this program."""


def explain_system_error(error: OSError) -> MultistageError | None:
    """Put in a sentence what the system refused.

    Args:
        error: As it came out of a command.

    Returns:
        The error to tell; None where whoever read the output has left, as `head` does, and needs no word.

    Raises:
        OSError: The same one, where it is a fault of this program: its traceback is of use.
    """
    refused = _find_fault_of_output()
    if refused is not None:
        _drop_output()
        if isinstance(error, BrokenPipeError):
            return None
        if error.errno == refused.errno:
            return MultistageError(f"The output cannot be written: {refused.strerror}.", "Send it somewhere else.")
    if not _is_folder_there():
        return UsageError("The current folder no longer exists.", "Change to one that does: `cd ~`.")
    reason = error.strerror or str(error)
    if error.filename is not None:
        return MultistageError(f"{error.filename} cannot be used: {reason}.", "Check its path and its permissions.")
    if remedy := REMEDIES.get(error.errno or 0):
        return MultistageError(f"The system refuses: {reason}.", remedy)
    raise error


def _find_fault_of_output() -> OSError | None:
    """Find why the standard output takes no more: what its buffer still holds tells, or else the pipe."""
    try:
        print(end="", flush=True)
    except OSError as error:
        return error
    poll = select.poll()
    poll.register(STANDARD_OUTPUT, 0)
    return BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) if poll.poll(0) else None


def _drop_output() -> None:
    """Send the rest nowhere: the interpreter would complain of it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STANDARD_OUTPUT)
    os.close(nowhere)


def _is_folder_there() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True
