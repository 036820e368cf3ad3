"""Which machine a process is on: several may share a home, and a pid means something on its own alone.

A machine is written as its host name and what tells it from its namesakes: ``login1 02866be4-bf85-...``.
"""

import socket
import sys
import uuid
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def read_host() -> str:
    """Return this machine's host name."""
    return socket.gethostname()


def read_mark() -> str:
    """Return what tells this machine from others: the id of its boot, and outside of Linux its network card's address.

    A container has that of its machine, whatever it is called.
    """
    if sys.platform != "linux":
        return f"{uuid.getnode():x}"
    try:
        return BOOT_ID.read_text().strip()
    except OSError:  # a sandbox without /proc/sys
        return ""


def describe_machine() -> str:
    """Write down this machine."""
    return f"{read_host()} {read_mark()}".rstrip()


def is_here(machine: str) -> bool:
    """Whether what was written down is this machine, also under another name, or started anew.

    Args:
        machine: As `describe_machine` wrote it; empty, as earlier releases did, stands for this one.
    """
    host, _, mark = machine.partition(" ")
    return not machine or host == read_host() or (mark != "" and mark == read_mark())


def name_host(machine: str) -> str:
    """Return the host name of what `describe_machine` wrote."""
    return machine.partition(" ")[0]
