"""How a process ends as what it ran has ended, by an exit code or by a signal."""

import signal
import sys


def leave(code: int) -> None:
    """End this process with an exit code, or by a signal.

    Returns only for a signal that is blocked.

    Args:
        code: Negative for a signal, as in ``subprocess``.

    Raises:
        SystemExit: With the exit code.
    """
    if code >= 0:
        sys.exit(code)
    signal.signal(-code, signal.SIG_DFL)
    signal.raise_signal(-code)
