"""What a host has, and what it lacks; runs there."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multistage.errors import UsageError
from multistage.installation import read_version
from multistage.launchers.gpus import find_gpus
from multistage.launchers.modules import check_module
from multistage.worker.interpreter import inspect_interpreter


def survey_host(order: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """Return this host's GPUs, the interpreter of trainings, and in a sentence what is missing.

    Args:
        order: ``program``, ``command`` and ``interpreter`` of the trainings, as they were asked for.
        directory: Where trainings would run.
    """
    answer: dict[str, Any] = {"version": read_version(), "name": socket.gethostname(), "interpreter": None}
    answer["gpus"] = _list_gpus()
    try:
        _check_files(order, directory)
        os.chdir(directory)
        interpreter = inspect_interpreter(directory / order["interpreter"]) if order["interpreter"] else None
        answer["interpreter"] = interpreter.model_dump(mode="json") if interpreter else None
        check_module(order["program"], order["command"], directory, str(interpreter.path) if interpreter else None)
    except UsageError as error:
        answer["fault"] = [error.message, error.hint]
    return answer


def _check_files(order: Mapping[str, Any], directory: Path) -> None:
    where = "Hosts that don't share this disk need a folder of their own, with your program in it: --ssh-directory."
    if not directory.is_dir():
        raise UsageError(f"There is no folder {directory}.", where)
    program = order["program"]
    if program and program.endswith(".py") and not (directory / program).is_file():
        raise UsageError(f"There is no {directory / program}.", where)


def _list_gpus() -> Mapping[str, Any] | None:
    try:
        return find_gpus().model_dump(mode="json")
    except ModuleNotFoundError:  # a worker needs no driver's package
        return None
