"""A terminal with a command in it, and what it shows."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import pyte

ROWS = 70
DECIDING = ("COLUMNS", "LINES", "NO_COLOR", "CI")
"""Variables by which a program would not look at its terminal."""
JOINABLE = re.compile(r"[/:=]|^multistage-sweep$")
"""Words that a terminal may break at its edge: paths, addresses, commands, which people copy."""


class Screen(pyte.Screen):
    """A screen that knows which of its lines it has broken at its edge."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines)
        self.continued: set[int] = set()

    def draw(self, data: str) -> None:
        """Draw some characters."""
        for character in data:
            is_full = self.cursor.x == self.columns
            super().draw(character)
            if is_full:
                self.continued.add(self.cursor.y)

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:
        """Erase a line, or a part of it."""
        super().erase_in_line(how, private)
        self.continued.discard(self.cursor.y)


class Terminal:
    """A terminal of so many columns, in which a command runs until the context ends.

    Args:
        command: The command.
        environment: All of its variables.
        width: Columns.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], width: int) -> None:
        self.width = width
        self._screen = Screen(width, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, width, 0, 0))
        kept = {
            name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES", "NO_COLOR", "CI")
        }
        own = {"TERM": "xterm-256color", "DO_NOT_TRACK": "1"}  # Prefect tells each user once that it counts
        self.process = subprocess.Popen(command, env={**kept, **own}, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(60)
        self._reader.join(10)
        os.close(self._ours)

    def wait(self, timeout: float) -> int:
        """Wait for the command's end, and until all that it printed is shown; returns its exit code."""
        code = self.process.wait(timeout)
        self._reader.join(10)
        return code

    def read(self) -> list[str]:
        """Return the lines that are shown, those whole again that the terminal has broken.

        Raises:
            AssertionError: It has broken one amid a word that is not a part of a path, an address or a command.
        """
        with self._lock:
            shown, continued = list(self._screen.display), set(self._screen.continued)
        lines: list[str] = []
        for number, line in enumerate(shown):
            if number not in continued:
                lines.append(line)
                continue
            word = f"{lines[-1].split(' ')[-1]}{line.split(' ')[0]}"
            is_cut = lines[-1][-1].isalnum() and line[0].isalnum() and not JOINABLE.search(word)
            assert not is_cut, f"{word!r} is cut before {line!r}"
            lines[-1] += line
        return "\n".join(line.rstrip() for line in lines).rstrip().splitlines()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._ours, 65536)
            except OSError:  # Linux says so that the other end is closed
                return
            if not chunk:
                return
            with self._lock:
                self._stream.feed(chunk)


MASKS = (
    (r"token=\S+", "token=TOKEN"),
    (r"/\w+/screen-\w{8}", "FOLDER"),
    (r"127\.0\.0\.1:\d+", "HOST"),
    (r"/sweeps/\w{8}", "/sweeps/ID"),
    (r"\b(learning_rate|momentum|batch_size)(=|\": )[\d.e-]+", r"\1\2N"),
    (r"\bs(\d)-\d{4}\b", r"s\1-RUN"),
    (r"\b(\d+ (s|min|h)|\d+ min \d+ s)\b", "TIME"),
    (r"-?\b\d+\.\d+(e-?\d+)?\b", "N"),
    (r"━+[╸╺]?━*", "━"),
    (r" {2,}", "  "),
)


def mask(lines: Sequence[str]) -> str:
    """Return a screen without what differs from one time to the next: addresses, names, times, measured values."""
    shown = [line for line in lines if not line.startswith("Waiting for the ")]
    text = "\n".join(shown)
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
