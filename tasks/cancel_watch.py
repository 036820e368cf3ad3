"""A cancel on Prefect's pages, of which a sweep that was started at a terminal would not hear."""

import contextvars
import logging
import os
import signal
import threading
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId

from multistage.pipeline.tasks.endings import ANNOUNCED, RUNNER

INTERVAL = 1.5
"""Seconds between two looks."""
TIMEOUT = 10.0
"""Seconds within which Prefect's server must answer one."""

logger = logging.getLogger(__name__)


class CancelWatch:
    """Interrupts this process, as SIGTERM does, when its flow run or a stage's is cancelled; until the context ends.

    Args:
        run_id: The flow run. Where a runner of Prefect's has started it, that is what cancels it.
    """

    def __init__(self, run_id: UUID) -> None:
        self._run_id = run_id
        self._ended = threading.Event()
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._watch,), name="watch for a cancel", daemon=True)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # which alone can be interrupted
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()

    def _watch(self) -> None:
        # A client of its own: the flow's is the flow's thread's.
        with get_client(httpx_settings={"timeout": TIMEOUT}, sync_client=True) as client:
            while not self._ended.wait(INTERVAL):
                try:
                    is_cancelled = self._look(client)
                except httpx.HTTPError:  # a server that is away is asked again
                    continue
                if is_cancelled and not self._ended.is_set():
                    logger.warning("It is cancelled in Prefect: its workers are being ended")
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
                    return

    def _look(self, client: SyncPrefectClient) -> bool:
        below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[self._run_id]))
        states = [run.state for run in client.read_flow_runs(flow_run_filter=below)]
        if RUNNER not in os.environ:
            own = client.read_flow_run(self._run_id).state
            if own is not None and own.is_cancelled():  # at once, where it was paused
                return True
            states.append(own)
        cancelling = [state for state in states if state is not None and state.is_cancelling()]
        # An interruption of this very process is announced so, too.
        return any(not (state.message or "").startswith(ANNOUNCED) for state in cancelling)
