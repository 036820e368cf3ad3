"""Ctrl+C and SIGTERM in a flow: one ends it once, wherever it comes, and none is lost."""

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from types import FrameType

from prefect.exceptions import TerminationSignal

INTERRUPTIONS = (KeyboardInterrupt, TerminationSignal)
"""What Ctrl+C and SIGTERM raise in a flow."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 3.0
"""Seconds that a signal has to break the flow off before it is sent again."""
_kept: ContextVar[bool] = ContextVar("kept", default=False)


@contextlib.contextmanager
def keep_signals() -> Iterator[None]:
    """Have no signal be lost in a flow's body, and set the handlers back at its end.

    An exception that a handler raises can be dropped by whatever code it comes upon. Prefect does so while it closes a
    subflow that has succeeded, which takes up to a second (3.9, the last clause of
    ``FlowRunEngine.initialize_run``). So what has not led to `ignore_signals` in time is sent again.

    Within another such context it does nothing, and within an event loop that handles signals itself it sends none.
    """
    if _kept.get() or threading.current_thread() is not threading.main_thread():  # no other gets any
        yield
        return
    token = _kept.set(True)
    before = {one: signal.getsignal(one) for one in SIGNALS}
    heard, told = socket.socketpair()
    told.setblocking(False)
    others = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    if others != -1:  # of an event loop around the flow, which hears of signals by it alone
        signal.set_wakeup_fd(others, warn_on_full_buffer=False)
    main = threading.get_ident()
    watch = threading.Thread(target=_repeat, args=(heard, main), name="watch for lost signals", daemon=True)
    watch.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(others)
        told.close()
        watch.join()
        for one, handler in before.items():
            signal.signal(one, handler)
        _kept.reset(token)


def ignore_signals() -> None:
    """Have whoever presses Ctrl+C again change nothing any more."""
    if threading.current_thread() is threading.main_thread():
        for one in SIGNALS:
            signal.signal(one, _ignore)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Unlike ``SIG_IGN``, it is not passed on to the processes that are started."""


def _repeat(heard: socket.socket, main: int) -> None:
    """Send a signal again, while one has come and nothing ends; until the other side is closed."""
    last: signal.Signals | None = None
    with heard:
        while True:
            try:
                number = heard.recv(1)
            except TimeoutError:
                if last is None or signal.getsignal(last) is _ignore:
                    heard.settimeout(None)  # and go on: Python complains of what nobody reads
                else:
                    signal.pthread_kill(main, last)
                continue
            if not number:
                return
            if number[0] in SIGNALS:
                last = signal.Signals(number[0])
                heard.settimeout(PATIENCE)
