"""Whether the trainings of this machine will find their module."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from multistage.domain.workers.styles import PROGRAM_MACRO
from multistage.domain.workers.variables import withhold_secrets
from multistage.errors import UsageError

MISSING = 3
"""Exit code of `LOOK` where the module is not found."""
LOOK = f"""
import importlib.util, sys
where = None
parts = sys.argv[1].split(".")
for index, _ in enumerate(parts):
    name = ".".join(parts[: index + 1])
    if index == 0:
        spec = importlib.util.find_spec(name)
    else:
        found = (finder.find_spec(name, where) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((one for one in found if one), None)
    if spec is None:
        sys.exit({MISSING})
    where = spec.submodule_search_locations
    if where is None and index + 1 < len(parts):
        sys.exit({MISSING})
    if where is not None and index + 1 == len(parts):
        parts.append("__main__")
"""
"""Finds a module without importing anything of it; of a package, what ``python -m`` runs."""
LIMIT = 60.0
"""Seconds that an interpreter has to start."""


def check_module(program: str | None, command: Sequence[str], directory: Path, interpreter: str | None = None) -> None:
    """Make sure that the trainings will find the module that their command names; does nothing where it names none.

    Args:
        program: What ``${program}`` stands for.
        command: W&B's command with its macros; empty for W&B's default.
        directory: Where trainings run.
        interpreter: The trainings' Python; this process's own by default.

    Raises:
        UsageError: The module is not on their path.
    """
    found = find_module(command)
    if found is None:
        return
    module, variables = found
    name = program if module == PROGRAM_MACRO else module
    python = interpreter or sys.executable
    environment = {**os.environ, **variables}
    withhold_secrets(environment)
    looked = subprocess.run(
        [python, "-c", LOOK, str(name)],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    if looked.returncode == MISSING:
        raise UsageError(
            f"The module {str(name)!r} is not on the trainings' path: the folder {directory} and {python}.",
            "Start where `python -m` finds it, or install it there; a file is named with its suffix: train.py.",
        )


def find_module(command: Sequence[str]) -> tuple[str, dict[str, str]] | None:
    """Find the module that a command has ``${interpreter}`` run, and the variables that it sets before.

    None where the interpreter runs no module, or something before it may change what it finds.
    """
    if "${interpreter}" not in command:
        return None
    at = list(command).index("${interpreter}")
    before = [word for word in command[:at] if word != "${env}"]
    if not all("=" in word for word in before):
        return None
    options = iter(command[at + 1 :])
    for word in options:
        if word == "-m":
            module = next(options, None)
            return None if module is None else (module, dict(word.split("=", 1) for word in before))
        if not word.startswith("-"):
            return None
    return None
