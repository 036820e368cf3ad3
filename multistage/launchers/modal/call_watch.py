"""Follows calls on Modal: notices an end at once, and asks less than once a call and minute."""

import asyncio
import threading
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import modal

from multistage.domain.workers.worker_records import WorkerEnd
from multistage.launchers.modal.faults import judge_error, judge_result

HOLD = 48.0
"""Seconds for which Modal holds the question whether a call has ended."""
PAUSE = 15.0
"""Seconds between two questions."""
MOST_HELD = 50
"""Questions held at once: they share one connection, which commonly carries 100 requests; the rest is asked each
`HOLD` and `PAUSE` instead."""
FIRST_ANSWER = 10.0
"""Seconds to wait for what Modal says first; a call counts as alive meanwhile."""

T = TypeVar("T")


class CallWatch:
    """Follows any number of calls in one thread."""

    def __init__(self) -> None:
        self.ends: dict[str, WorkerEnd] = {}
        self.failures: dict[str, str] = {}
        """The last lines of failed runs, by run id."""
        self._asked: dict[str, threading.Event] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._followers: list[Future[None]] = []
        self._held = 0
        self._silent = False
        """Whether Modal was waited for in vain, so that nobody waits again before it has answered."""

    def find_end(self, call_id: str, launched_at: float) -> WorkerEnd | None:
        """Say how a call ended; None while it lives, as far as is known.

        Args:
            call_id: Modal's id.
            launched_at: When it was launched, in seconds since the epoch.
        """
        first = self._asked.get(call_id)
        if first is None:
            first = self._asked[call_id] = threading.Event()
            self._followers.append(self._submit(self._follow(call_id, launched_at)))
        if call_id not in self.ends:
            self._silent = not first.wait(0.0 if self._silent else FIRST_ANSWER)
        return self.ends.get(call_id)

    def follow(self, calls: Sequence[tuple[str, float]]) -> None:
        """Begin to follow calls that have just been spawned, so that nobody waits for the first answer."""
        for call_id, launched_at in calls:
            if call_id not in self._asked:
                self._asked[call_id] = threading.Event()
                self._asked[call_id].set()
                self._followers.append(self._submit(self._follow(call_id, launched_at, wait=True)))

    def close(self) -> None:
        """End the thread; the calls live on."""
        if self._loop is None or self._thread is None:
            return
        for follower in self._followers:
            follower.cancel()
        self._submit(self._drain()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something beside the calls, and wait for it."""
        return self._submit(coroutine).result()

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="modal calls", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _drain(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _follow(self, call_id: str, launched_at: float, wait: bool = False) -> None:
        call: modal.FunctionCall[dict[str, Any]] = modal.FunctionCall.from_id(call_id)
        while True:
            hold = HOLD if wait and self._held < MOST_HELD else 0.0
            if wait and not hold:
                await asyncio.sleep(HOLD)
            end = await self._ask(call, hold, launched_at)
            if end is not None:
                self.ends[call_id] = end
            self._asked[call_id].set()
            if end is not None:
                return
            if wait:
                await asyncio.sleep(PAUSE)
            wait = True

    async def _ask(
        self, call: "modal.FunctionCall[dict[str, Any]]", hold: float, launched_at: float
    ) -> WorkerEnd | None:
        self._held += hold > 0
        try:
            result = await call.get.aio(timeout=hold)
        except TimeoutError:  # it lives
            return None
        except Exception as error:  # the container's own exceptions come out here
            return judge_error(error, time.time() - launched_at)
        finally:
            self._held -= hold > 0
        self.failures.update(result["failures"])
        return judge_result(result)
