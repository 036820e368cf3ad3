"""What the library warns of while a sweep runs, on its terminal: a run that stalls, a worker that is lost, a pause."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


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
        self._console.print(f"Warning: {record.getMessage()}", style="yellow", markup=False, soft_wrap=True)


@contextmanager
def show_warnings(console: Console) -> Iterator[None]:
    """Show the library's warnings until the context ends; Prefect shows them among a flow run's logs."""
    logger, handler = logging.getLogger("multistage"), TerminalHandler(console)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
