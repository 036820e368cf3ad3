"""Connections: how many may be open, and how long one may say nothing whole.

uvicorn waits for a request's head as long as it takes, and asyncio accepts until no file can be opened any more. Here
a connection has seconds for the head of each request, and where no more may be open, the oldest one makes room that
has no request from a client with the key.
"""

import asyncio
import logging
import resource
import socket
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

logger = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""For the head of a request, from the moment when the server could begin to read it."""
RESERVED_FILES = 96
"""Of the files that a process may open: for the database, uploads and downloads, and what Python opens."""
MOST_CONNECTIONS = 2_000
TRUSTED = "multistage.trusted"
"""In a request's scope: it showed the key, or a link or a cookie that was made with it."""


def bound_connections() -> int:
    """How many connections may be open at once, by what this process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(8, soft // 2, soft - RESERVED_FILES)
    return MOST_CONNECTIONS


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP, with an end to its patience."""

    heard_at = 0.0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self.heard_at = self.loop.time()
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        self.heard_at = self.loop.time()
        if not self.is_busy and self._head_timer is None:
            self._await_head()
        super().data_received(data)
        if self.is_busy:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Continue with the next request; a body that was not read has as long to end as a head to come."""
        self._stop_waiting()
        super().on_response_complete()

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def rank(self) -> int:
        """Who makes room first: who has shown no key, then who has no request under way; never one with both."""
        trusted = self.cycle is not None and bool(cast("dict[str, Any]", self.cycle.scope).get(TRUSTED))
        return (1 + self.is_busy) if trusted else 0

    def give_way(self) -> None:
        """End at once."""
        self._stop_waiting()
        self.transport.abort()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.give_way)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class Reception:
    """Accepts connections, up to a bound.

    Args:
        make_protocol: What speaks on each.
        connections: Those that are open; protocols enter and leave by themselves.
        bound: How many may be.
    """

    def __init__(self, make_protocol: Any, connections: set[Any], bound: int) -> None:
        self._make_protocol = make_protocol
        self._connections = connections
        self._bound = bound

    async def accept(self, listener: socket.socket) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            while len(self._connections) >= self._bound and not self._make_room():
                await asyncio.sleep(0.05)
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                logger.warning("Connections cannot be accepted: %s", error)
                if not self._make_room():
                    await asyncio.sleep(0.05)
                continue
            try:
                await loop.connect_accepted_socket(self._make_protocol, connection)
            except OSError:
                # It went away while it was taken in.
                connection.close()

    def _make_room(self) -> bool:
        """Close the connection that can best be missed; whether there was one."""
        oldest = min(self._connections, key=lambda one: (one.rank, one.heard_at), default=None)
        if oldest is None or oldest.rank > 1:
            return False
        logger.warning("All %d connections were taken: the oldest without a request made room", self._bound)
        self._connections.discard(oldest)
        oldest.give_way()
        return True
