"""The program that a sweep trains, and the command that starts it."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from multistage.domain.sweep.request import SweepRequest
from multistage.domain.workers.styles import (
    DEFAULT_COMMAND,
    DEFAULT_STYLE,
    PROGRAM_MACRO,
    ProgramKind,
    build_command,
    find_style,
    is_module_name,
    runs_module,
)
from multistage.errors import UsageError
from multistage.paths import expand_home

PYTHON_SUFFIXES = (".py", ".pyw", ".pyz", ".zip")
"""Of files that Python runs, whatever their first line names."""
BINARIES = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""How the programs of Linux and macOS begin."""


def settle_program(
    request: SweepRequest, program: str | None, written: Sequence[str], directory: Path
) -> tuple[str | None, tuple[str, ...]]:
    """Find the program, and build the command that starts it.

    Args:
        request: Whose ``command`` or ``style`` wins.
        program: What is named: a file, or a module.
        written: The command that a sweep file has.
        directory: Where a relative path is looked for.

    Returns:
        The file's path or the module's name, None where the command runs neither; and the command, empty for W&B's.

    Raises:
        UsageError: There is no such file, it does not start by itself, or the command or style makes no sense.
    """
    command = _read_command(request) or tuple(written)
    if not command:
        arguments = find_style(DEFAULT_STYLE if request.style is None else request.style)
        found, kind = find_program(program, directory)
        return found, _name_config(build_command(kind, arguments), request)
    if not program and any(PROGRAM_MACRO in word for word in command) and request.sweep_file is None:
        raise UsageError(f"The command runs {PROGRAM_MACRO}, and no program is named.", "Name it: --program train.py.")
    if not any(PROGRAM_MACRO in word for word in command):
        named = request.program if request.sweep_file is None else None
        return find_file(named, directory) if named else None, command
    if runs_module(command) and program:
        return program, command
    return find_file(program, directory), command


def _read_command(request: SweepRequest) -> tuple[str, ...]:
    if request.command is None:
        return ()
    if request.style is not None:
        raise UsageError("--style and --command both say how the program is started.", "Leave one of the two out.")
    try:
        parts = shlex.split(request.command)
    except ValueError as error:
        raise UsageError(f"--command {request.command!r} cannot be split: {error}.", "Check its quotes.") from error
    if not parts:
        raise UsageError("--command is empty.", f"W&B's default is '{' '.join(DEFAULT_COMMAND)}'.")
    return _name_config(parts, request)


def _name_config(command: Sequence[str], request: SweepRequest) -> tuple[str, ...]:
    return tuple(part.replace("${config_id}", request.config_id) for part in command)


def find_program(program: str | None, directory: Path) -> tuple[str, ProgramKind]:
    """Find a training program: a file, or a module by its name where no such file is there.

    Raises:
        UsageError: There is none, or it does not start by itself.
    """
    if program and is_module_name(program) and not _locate(program, directory).exists():
        return program, "module"
    path = find_file(program, directory)
    return path, _judge_file(Path(path))


def find_file(program: str | None, directory: Path) -> str:
    """Find a training script.

    Args:
        program: As it was named; None where a sweep file names none.
        directory: Where a relative path is looked for.

    Raises:
        UsageError: It is not there.
    """
    if program is None:
        raise UsageError("The sweep file names no program.", "Add `program: train.py` to it, or give --program.")
    if not program:
        raise UsageError("The program's name is empty.", "Name a file, or a module as Python finds it: pkg.train.")
    path = _locate(program, directory)
    if not path.is_file() and not (path / "__main__.py").is_file():
        raise UsageError(
            f"The program {program!r} does not exist in {directory}.",
            "Name a file, or a module as Python finds it: pkg.train.",
        )
    return str(path)


def _locate(program: str, directory: Path) -> Path:
    return (directory / expand_home(Path(program))).absolute()


def _judge_file(path: Path) -> ProgramKind:
    """Return whether Python runs a file, or the file runs by itself."""
    if path.is_dir() or path.suffix in PYTHON_SUFFIXES:
        return "script"
    with path.open("rb") as file:
        first = file.readline(200)
    is_foreign = first.startswith(BINARIES) or (first.startswith(b"#!") and b"python" not in first)
    if is_foreign and os.access(path, os.X_OK):
        return "executable"
    if is_foreign or path.suffix == ".sh":
        raise UsageError(
            f"The program {path} is not a Python script, and is not executable.",
            f"Make it executable (`chmod +x {shlex.quote(path.name)}`, first line like #!/bin/bash), or say what runs "
            f"it: --command 'bash ${{program}} ${{args}}', or for init -- bash {shlex.quote(path.name)}.",
        )
    return "script"
