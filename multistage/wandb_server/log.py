"""The server's log: what strangers and a full disk can repeat is written once a minute."""

import logging
import time

SECONDS = 60.0


class OnceAMinute(logging.Filter):
    """Lets each kind of warning through once a minute, with how many were left out; tracebacks always."""

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        if record.levelno < logging.WARNING or record.exc_info:
            return True
        kind, now = (record.name, str(record.msg)), time.monotonic()
        if now - self._written.get(kind, -SECONDS) < SECONDS:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        self._written[kind] = now
        if left_out := self._left_out.pop(kind, 0):
            record.msg = f"{record.getMessage()} ({left_out} more like it)"
            record.args = None
        return True


def quieten() -> None:
    """Have every handler of this process's log pass on repeated warnings once a minute."""
    once = OnceAMinute()
    last_resort = [logging.lastResort] if logging.lastResort else []
    for handler in logging.getLogger().handlers or last_resort:
        handler.addFilter(once)
