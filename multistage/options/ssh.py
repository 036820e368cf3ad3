"""Options of trainings on hosts that ssh reaches."""

import re
from typing import Annotated, ClassVar, NamedTuple

from pydantic import AfterValidator, Field

from multistage.options.option import Option, Options

_HOST = re.compile(r"(?P<address>(?!-)[^\s,:]+)(?::(?P<seats>[1-9]\d{0,2}))?")


class Host(NamedTuple):
    """A host."""

    address: str
    """As ssh takes it."""
    seats: int
    """How many workers it has."""


def parse_hosts(text: str) -> tuple[Host, ...]:
    """Read a list of hosts, such as ``a,me@b:2``.

    Raises:
        ValueError: It is none.
    """
    found = [_HOST.fullmatch(part.strip()) for part in text.split(",")]
    if None in found:
        raise ValueError("it takes hosts as ssh takes them, each with its workers: a,me@b:2")
    hosts = tuple(Host(one["address"], int(one["seats"] or 1)) for one in found if one is not None)
    names = [host.address for host in hosts]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"it names {twice} twice; {twice}:2 gives it two workers")
    return hosts


def _check_hosts(text: str) -> str:
    parse_hosts(text)
    return text


HostList = Annotated[str, AfterValidator(_check_hosts)]
"""Text that `parse_hosts` reads."""


class HostOptions(Options):
    """What each host has."""

    directory: Annotated[str | None, Option(sign="FOLDER", usually="this one, on a disk that hosts share")] = None
    """The folder on hosts in which trainings run, with your program in it, where hosts don't share this disk."""
    worker_python: Annotated[str | None, Option(sign="PATH", usually="this one's path")] = None
    """The Python on hosts in which multistage-sweep is installed."""


class SshOptions(Options):
    """What trainings on other hosts get."""

    title: ClassVar[str] = "Trainings on hosts that ssh reaches"
    mark: ClassVar[str] = "ssh"
    only_with: ClassVar[str | None] = "ssh"
    where: ClassVar[str] = "on other hosts"

    hosts: Annotated[HostList | None, Option(sign="HOST[:N],...", takes="hosts as ssh takes them: a,me@b:2")] = None
    """Hosts as ssh takes them, each with the number of its workers: a,me@b:2."""
    ssh: HostOptions = Field(default_factory=HostOptions)
    """With hosts that ssh reaches, what each has."""
