"""The addresses that the server listens on."""

import socket
from collections.abc import Sequence

from multistage.errors import ServiceError

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where a client of this machine finds such a server


def name_url(host: str, port: int) -> str:
    """The URL of what listens on a port of a host."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        ServiceError: The address cannot be used.
    """
    listener: socket.socket | None = None
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # With the protocol named, asyncio turns Nagle's algorithm off: without, every answer waits 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        if listener is not None:
            listener.close()
        raise ServiceError(
            f"The embedded server cannot listen on {host}:{port}: {error}.",
            "Choose an address of this machine and a free port; port 0 takes one.",
        ) from error
    listener.listen(2048)
    return listener


def bind_all(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """A listening socket for each address, all on one port; port 0 takes one that is free on the first.

    Raises:
        ServiceError: An address cannot be used.
    """
    listeners = [bind(hosts[0], port)]
    try:
        listeners += [bind(host, listeners[0].getsockname()[1]) for host in hosts[1:]]
    except ServiceError:
        for listener in listeners:
            listener.close()
        raise
    return listeners
