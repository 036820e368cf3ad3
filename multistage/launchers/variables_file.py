"""The file with which workers on other machines are given what they need, a key among it: for its owner alone."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from multistage.atomic_files import replace_file

NAME = ".worker-variables"
"""In the folder of a sweep's logs."""


def write_variables(folder: Path, variables: Mapping[str, str]) -> Path:
    """Write the variables into a folder, as lines that a shell reads; returns the file."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / NAME
    replace_file(path, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()))
    return path


def remove_variables(folder: Path) -> None:
    """Remove that file, once no worker will need it any more."""
    (folder / NAME).unlink(missing_ok=True)
