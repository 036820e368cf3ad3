"""The command by which a user starts a script, taken apart: its program, what stands in front of it and behind."""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from multistage.domain.proposal.calling import Invocation
from multistage.domain.workers.styles import ProgramKind, is_module_name
from multistage.errors import UsageError
from multistage.paths import expand_home
from multistage.request.subject.programs import PYTHON_SUFFIXES, find_program
from multistage.worker.interpreter import inspect_interpreter

_PYTHON = re.compile(r"python[\d.]*")
_SCRIPTS = (*PYTHON_SUFFIXES, ".sh")


def read_words(words: Sequence[str], directory: Path, python: Path | None = None) -> Invocation:
    """Take a command apart.

    Args:
        words: A script or a module with its arguments, or a whole command: ``python -u train.py --epochs 3``,
            ``torchrun --nproc-per-node=2 train.py``.
        directory: Where it is started.
        python: The interpreter of trainings, where it is another than this one.

    Raises:
        UsageError: Its program does not exist, or does not start by itself.
    """
    first, *rest = words
    if _stands_alone(first, directory):
        _, own = find_program(first, directory)
        return Invocation(program=first, kind=own, typed=tuple(rest), python=str(python) if python else None)
    if shutil.which(first, path=_search_path()) is None and not (directory / first).exists():
        find_program(first, directory)  # which says that there is none
    place = next((place for place, word in enumerate(rest) if _is_script(word, directory)), None)
    module = next((place for place, word in enumerate(rest) if rest[place - 1 : place] in (["-m"], ["--module"])), None)
    if place is None and module is None:
        raise UsageError(
            f"There is no training script in the command {' '.join(words)!r}.",
            "Name one in this folder, or a module behind -m: multistage-sweep init -- python train.py.",
        )
    at = module if place is None else place
    assert at is not None  # noqa: S101 - as one of both is none of None
    kind: ProgramKind = "script" if place is not None else "module"
    before, told = _write_start(first, rest[:at], directory, python)
    return Invocation(program=rest[at], kind=kind, before=before, typed=tuple(rest[at + 1 :]), python=told)


def _stands_alone(word: str, directory: Path) -> bool:
    """Return whether a word is the program itself, rather than what starts it."""
    path = directory / expand_home(Path(word))
    if path.is_file() or path.is_dir():
        return not _PYTHON.fullmatch(path.name)
    return is_module_name(word) and shutil.which(word, path=_search_path()) is None and "." in word


def _is_script(word: str, directory: Path) -> bool:
    return word.endswith(_SCRIPTS) and (directory / expand_home(Path(word))).is_file()


def _write_start(
    first: str, rest: Sequence[str], directory: Path, python: Path | None
) -> tuple[tuple[str, ...] | None, str | None]:
    """Write what stands in front of the program in W&B's macros; returns the interpreter, where it is another."""
    if not _PYTHON.fullmatch(Path(first).name):
        return ("${env}", first, *rest), str(python) if python else None
    told = str(python) if python else _find_other(first, directory)
    usual = list(rest) in ([], ["-m"])
    return (None if usual else ("${env}", "${interpreter}", *rest)), told


def _find_other(word: str, directory: Path) -> str | None:
    """Find the interpreter that a word means; None where its environment is this one."""
    found = word if "/" in word else shutil.which(word, path=_search_path())
    if found is None or Path(directory / found).absolute() == Path(sys.executable):
        return None
    interpreter = inspect_interpreter(directory / found)
    return None if interpreter.prefix == Path(sys.prefix) else found


def _search_path() -> str:
    """Where a program is looked for: as in its user's shell, and beside this interpreter."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))
