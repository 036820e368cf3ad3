"""What a script says for ``--help``, asked for so that nothing is trained or logged where it does not obey it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL

from multistage.domain.workers.variables import withhold_secrets
from multistage.worker.interpreter import Interpreter, enter_interpreter


def ask_help(
    command: Sequence[str], directory: Path, shims: Path, interpreter: Interpreter | None, limit: float
) -> str | None:
    """Ask a script for its options.

    Args:
        command: That starts it, macros resolved; ``--help`` is added.
        directory: Where it is started.
        shims: A folder for what names another interpreter.
        interpreter: That one.
        limit: Seconds that it has to import what it needs, and to print.

    Returns:
        What it printed; None where it did not end.
    """
    environment = {**os.environ, "WANDB_MODE": "disabled", "WANDB_SILENT": "true", "COLUMNS": "1000", "NO_COLOR": "1",
                   "TERM": "dumb"}  # fmt: skip
    withhold_secrets(environment)
    if interpreter is None:
        own = str(Path(sys.executable).parent)
        environment["PATH"] = os.pathsep.join((own, environment.get("PATH", os.defpath)))
    else:
        enter_interpreter(interpreter, environment, shims, Path(sys.prefix))
    try:
        process = subprocess.Popen(
            [*command, "--help"],
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError:
        return ""
    try:
        text, _ = process.communicate(timeout=limit)
        return text
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, SIGKILL)
        process.communicate()
