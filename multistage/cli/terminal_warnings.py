"""What a sweep's user is warned of on the terminal.

Before it runs that is what its plan makes one look twice at; while it runs, what the library tells of: a run that
stalls, a worker that is lost, a pause.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from multistage.cli.prose import print_prose

MOST_ADVICE = 2
"""Shown when a sweep starts, before the number of the others; a plan shows all."""


def show_advice(console: Console, advice: Sequence[str]) -> None:
    """Show what matters most, and say where the rest is.

    Args:
        console: Where to print.
        advice: What matters most first.
    """
    for one in advice[:MOST_ADVICE]:
        print_prose(console, f"Warning: {one}", "yellow")
    rest = len(advice) - MOST_ADVICE
    if rest > 0:
        print_prose(console, f"{rest} more: `multistage-sweep plan` with the same options shows them.")


class TerminalHandler(logging.Handler):
    """Prints warnings as the command line prints its own.

    Args:
        console: Where to print them.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        print_prose(self._console, f"Warning: {record.getMessage()}", "yellow")


@contextmanager
def show_warnings(console: Console) -> Iterator[None]:
    """Show the library's warnings until the context ends; Prefect shows them among a flow run's logs."""
    logger, handler = logging.getLogger("multistage"), TerminalHandler(console)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
