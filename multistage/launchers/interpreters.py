"""The Python of trainings that are not run by this one."""

from pathlib import Path

from multistage.domain.sweep.plan import SweepSettings
from multistage.errors import UsageError
from multistage.launchers.modules import check_module
from multistage.training.catalogue import find_bundled
from multistage.worker.interpreter import Interpreter, inspect_interpreter


def find_interpreter(settings: SweepSettings, directory: Path, python: Path | None) -> Interpreter | None:
    """Find the interpreter of a sweep's trainings; None for this process's own.

    Args:
        settings: The sweep.
        directory: From where a relative path is meant.
        python: The interpreter, or its environment's folder, as it was asked for.

    Raises:
        UsageError: It is none, has no W&B client of a release that works, or was named for a bundled trainer.
    """
    if python is None:
        return None
    if find_bundled(settings) is not None:
        raise UsageError(
            f"--python names an interpreter, and the bundled trainer of {settings.config_id} runs in this one.",
            "Leave it out, or train a program of your own.",
        )
    return inspect_interpreter(directory / python)


def check_python(settings: SweepSettings, directory: Path, python: Path | None) -> None:
    """Refuse an interpreter that trainings cannot use, and a module that it does not find.

    Args:
        settings: The sweep.
        directory: Where trainings run.
        python: As for `find_interpreter`.

    Raises:
        UsageError: With the remedy.
    """
    interpreter = find_interpreter(settings, directory, python)
    if find_bundled(settings) is None:
        check_module(settings.program, settings.command, directory, str(interpreter.path) if interpreter else None)
