"""On which addresses of this machine the embedded server listens beside 127.0.0.1, and which one other machines see."""

import json
import shlex
import socket
from pathlib import Path

from multistage.atomic_files import replace_file
from multistage.domain.workers.variables import is_loopback_host
from multistage.errors import ServiceError, UsageError
from multistage.wandb_server.addresses import bind

AUTO = "auto"
SOMEWHERE = "192.0.2.1"
"""An address that nobody has (RFC 5737): the way there is the usual way out of this machine. Nothing is sent to it."""
_NAME = "hosts.json"


def read_hosts(folder: Path) -> tuple[str, ...]:
    """Read the further addresses of the server of a folder."""
    try:
        return tuple(map(str, json.loads((folder / _NAME).read_text())))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise ServiceError(f"{folder / _NAME} cannot be read: {error}.", "Delete it.") from error


def add_host(folder: Path, host: str) -> None:
    """Note a further address, for every start of the server from now on."""
    known = read_hosts(folder)
    if host not in known:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(folder / _NAME, json.dumps([*known, host]))


def forget_hosts(folder: Path) -> None:
    """Let the next start listen on 127.0.0.1 alone."""
    (folder / _NAME).unlink(missing_ok=True)


def choose_host(requested: str | None, peer: str | None) -> str | None:
    """Choose the address on which workers of other machines reach this one; None where 127.0.0.1 will do.

    Args:
        requested: As it was asked for; None, like ``auto``, leaves it to this machine's own knowledge of its networks.
        peer: A machine on which workers will be; None where none is known.

    Raises:
        UsageError: It is not an address of this machine, or this machine has none.
    """
    host = find_address(peer) if requested in (None, AUTO) else requested
    if host is None:
        raise UsageError(
            "This machine has no address that other machines could reach.", "Name one: --server-host ADDRESS."
        )
    if is_loopback_host(host):
        return None
    try:
        bind(host, 0).close()
    except ServiceError as error:
        raise UsageError(
            f"{shlex.quote(host)} is not an address of this machine: {error.__cause__}.",
            "`hostname -I` lists those that it has.",
        ) from error
    return host


def find_address(peer: str | None = None) -> str | None:
    """Find the address by which a machine sees this one, or most would; None where this machine has no network.

    Args:
        peer: The other machine.
    """
    for other in (peer, SOMEWHERE):
        if other is not None and (found := _find_source(other)) is not None:
            return found
    return None


def _find_source(other: str) -> str | None:
    """Find the address from which this machine would send something to another; nothing is sent."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(other, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(place)
            return str(probe.getsockname()[0])
    except OSError:
        return None
