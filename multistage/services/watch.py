"""Keeps the user's own Prefect server alive for as long as a sweep needs it."""

import logging
import threading
from types import TracebackType
from typing import Self

from multistage.errors import ServiceError
from multistage.services.local_service import LocalService

INTERVAL = 2.0
"""Seconds between two looks at the process."""

logger = logging.getLogger(__name__)


class ServiceWatch:
    """Starts a service again, on its port, when its process has died; until the context ends.

    A service that lives and does not answer is left alone: a busy machine makes it slow.

    Args:
        service: One that has been started.
    """

    def __init__(self, service: LocalService) -> None:
        self._service = service
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"watch over the {service.name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(INTERVAL)

    def _watch(self) -> None:
        told = ""
        while not self._ended.wait(INTERVAL):
            try:
                if self._service.has_died():
                    self._service.ensure()
                told = ""
            except (ServiceError, OSError) as error:  # such as a full disk, which somebody may clear
                if str(error) != told:
                    logger.warning("The %s cannot be started again yet: %s", self._service.name, error)
                told = str(error)
