"""Where the server's work is done: beside the loop that listens, which answers whatever is being worked on.

What writes takes its turn at the desk, a thread with a loop of its own: nothing else touches the database's one
writing connection, or what is kept in memory. What only reads or computes goes to a few threads beside it.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

ASIDE = 4
"""Threads that read and compute: each one more makes the listening loop wait for the interpreter."""


class Desk:
    """The thread of everything that writes, and the threads beside it; begins with :meth:`open`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._aside = anyio.CapacityLimiter(ASIDE)

    def open(self) -> None:
        """Begin to work."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, with what is under way cancelled."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def take(self, work: Callable[[*Arguments], Any], *arguments: *Arguments) -> Any:
        """Call a function in its turn at the desk; a coroutine lets others come in between wherever it awaits."""
        return await asyncio.wrap_future(self.begin(work, *arguments))

    def begin(self, work: Callable[[*Arguments], Any], *arguments: *Arguments) -> "Future[Any]":
        """As :meth:`take`, without waiting for it."""

        async def do() -> Any:
            done = work(*arguments)
            return await done if inspect.isawaitable(done) else done

        return asyncio.run_coroutine_threadsafe(do(), self._loop)

    async def look(self, work: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        """Call a function in a thread beside the desk: it must neither write nor change what others see."""
        return await anyio.to_thread.run_sync(work, *arguments, limiter=self._aside)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        finally:
            self._loop.close()
