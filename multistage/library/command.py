"""The command line in a process of its own, for a program: its words are printed as they come."""

import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from multistage.errors import MultistageError, UsageError
from multistage.library.plain_values import make_plain

INTERRUPTED = 130
"""The exit code after Ctrl+C."""


def run_command(arguments: Sequence[str], say: Callable[[str], None]) -> str:
    """Run ``multistage-sweep``.

    The process has a session of its own: an interrupted notebook sends exactly one Ctrl+C, and a kernel that dies none.

    Args:
        arguments: What is typed after the name.
        say: Gets each line of what it tells.

    Returns:
        What it printed on its standard output.

    Raises:
        UsageError: It was misused; nothing was started.
        MultistageError: It failed.
        KeyboardInterrupt: It was interrupted, and its trainings were ended.
    """
    told: deque[str] = deque(maxlen=20)
    with tempfile.TemporaryFile("w+") as output, _start(arguments, output) as process:
        while True:
            try:
                for line in process.stderr or ():
                    told.append(line.rstrip())
                    say(line.rstrip())
                code = process.wait()
                break
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
        output.seek(0)
        if code == 0:
            return output.read()
    raise _explain(code, told)


def _start(arguments: Sequence[str], output: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "multistage", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def _explain(code: int, told: Sequence[str]) -> BaseException:
    if code == INTERRUPTED:
        return KeyboardInterrupt()
    prefix = "multistage-sweep: "
    said = next((line.removeprefix(prefix) for line in reversed(told) if line.startswith(prefix)), "\n".join(told))
    return UsageError(said) if code == UsageError.exit_code else MultistageError(said)


def write_flags(options: Mapping[str, Any]) -> list[str]:
    """Write options as flags: True as ``--name``, a table or a list once per entry; None is left out.

    False is written out for every flag, so that it holds against settings that say otherwise.

    Args:
        options: By the names of the flow's parameters, such as ``stage_deadline`` or ``train_arg``.
    """
    flags: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        match make_plain(value):
            case None:
                continue
            case bool() as given:
                flags.append(flag if given else f"{flag}=false")
            case Mapping() as table:
                flags += (f"{flag}={key}={each}" for key, each in table.items())
            case list() | tuple() | set() as several:
                flags += (f"{flag}={each}" for each in several)
            case plain:
                flags.append(f"{flag}={plain}")
    return flags
