"""What people read on the pages of a sweep's flow runs: each stage's own story, and the whole one on the parent's."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.context import FlowRunContext
from prefect.exceptions import CancelledRun, TerminationSignal
from prefect.logging.handlers import APILogHandler

from multistage.errors import MultistageError

LIBRARY = logging.getLogger("multistage")
"""What the library tells, this package included."""
ENGINE = logging.getLogger("prefect.task_runs")
"""What Prefect itself tells of a step, and what a step tells through it."""


class RunLogs(logging.Handler):
    """Has Prefect keep what the library tells, in the log of the flow run at hand and in the parent's.

    Args:
        parent: The parent's flow run.
        log: Its log.
    """

    def __init__(self, parent: UUID, log: "logging.Logger | logging.LoggerAdapter[Any]") -> None:
        super().__init__(logging.INFO)
        self._parent = parent
        self._log = log
        # A deployment of an earlier release has Prefect keep the library's records by itself.
        self._is_kept = any(isinstance(handler, APILogHandler) for handler in LIBRARY.handlers)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on; one of a thread of its own is the parent's alone."""
        here = FlowRunContext.get()
        is_parents = here is None or here.flow_run is None or here.flow_run.id == self._parent
        if here is not None and not self._is_kept:
            get_run_logger().log(record.levelno, "%s", record.getMessage())
        if here is None or not is_parents:
            self._log.log(record.levelno, "%s", record.getMessage())


def hold_back(record: logging.LogRecord) -> bool:
    """Log a step that failed by an error raised on purpose without a traceback, and an interrupted one not at all.

    The flow that it stands in tells why it ended.
    """
    if isinstance(sys.exception(), KeyboardInterrupt | TerminationSignal):
        return record.levelno < logging.ERROR
    if record.exc_info and isinstance(record.exc_info[1], MultistageError):
        record.exc_info = record.exc_text = None
    return True


def is_news(record: logging.LogRecord) -> bool:
    """Whether a record is more than the traceback of an error that the flow has told of in its own words.

    Where a runner started the process, Prefect logs every error that ends a flow once more, as unexpected.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], MultistageError | CancelledRun | KeyboardInterrupt))


@contextlib.contextmanager
def share_logs() -> Iterator[None]:
    """Show what the library tells on the pages of this flow run and of those below it, until the context ends."""
    here = FlowRunContext.get()
    assert here is not None and here.flow_run is not None  # noqa: S101, PT018 - as a flow's body has them
    handler, level = RunLogs(here.flow_run.id, get_run_logger()), LIBRARY.level
    LIBRARY.addHandler(handler)
    LIBRARY.setLevel(min(level or logging.INFO, logging.INFO))
    ENGINE.addFilter(hold_back)
    try:
        yield
    finally:
        LIBRARY.removeHandler(handler)
        LIBRARY.setLevel(level)
        ENGINE.removeFilter(hold_back)
