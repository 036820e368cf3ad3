"""Keeps the question between two stages answerable for as long as it is asked, and ends it when its time is over."""

import contextvars
import logging
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import NotPausedError
from prefect.flow_runs import resume_flow_run

INTERVAL = 2.0
"""Seconds between two looks at the flow run."""
TIMEOUT = 10.0
"""Seconds within which Prefect's server must answer one."""

logger = logging.getLogger(__name__)


class ApprovalWatch:
    """Watches a flow run that this process has paused, until the context ends.

    A machine that slept sent no heartbeats, so that the flow run is marked as crashed when it wakes up, and nobody
    could answer any more: it is paused again, with the same form.

    Args:
        run_id: The flow run.
        key: The pause's own.
        until: When it is resumed without an answer; None for never.
    """

    def __init__(self, run_id: UUID, key: str, until: datetime | None) -> None:
        self._run_id, self._key, self._until = run_id, key, until
        self._answered = threading.Event()
        self.expired = threading.Event()
        """Whether it was resumed because the time was over."""
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._watch,), name="watch over an approval", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._answered.set()
        self._thread.join()

    @property
    def _seconds_left(self) -> float:
        return float("inf") if self._until is None else (self._until - datetime.now(UTC)).total_seconds()

    def _watch(self) -> None:
        told, pause = "", min(INTERVAL, max(0.0, self._seconds_left))
        while not self._answered.wait(pause):
            try:
                with get_client(httpx_settings={"timeout": TIMEOUT}, sync_client=True) as client:
                    self._look(client)
                told = ""
            except Exception as error:
                # A server that is away is asked again, and whatever else it says must not end the clock.
                if str(error) != told:
                    logger.warning("The flow run that waits for approval could not be looked at: %r", error)
                told = str(error)
            left = self._seconds_left
            pause = min(INTERVAL, left) if left > 0 else INTERVAL / 4

    def _look(self, client: SyncPrefectClient) -> None:
        state = client.read_flow_run(self._run_id).state
        if state is not None and state.is_crashed():
            self._pause_again(client)
        if self._seconds_left > 0:
            return
        try:
            resume_flow_run(self._run_id, run_input={})
        except NotPausedError:
            return  # not yet, where the time is very short; or no more, and then the block ends
        self.expired.set()
        self._answered.set()

    def _pause_again(self, client: SyncPrefectClient) -> None:
        for state in reversed(client.read_flow_run_states(self._run_id)):
            if state.is_paused() and state.state_details.pause_key == self._key:
                client.set_flow_run_state(self._run_id, state, force=True)
                logger.warning("Prefect took this sweep for dead, as after a machine's sleep; it goes on waiting.")
                return
