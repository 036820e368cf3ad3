"""Paths as they are typed: a shell leaves the ~ of ``--flag=~/folder`` alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token

from multistage.paths import expand_home


def read_path(_kind: Any, tokens: Sequence[Token]) -> Path:
    """Read a path.

    Args:
        _kind: Of the parameter.
        tokens: What was typed for it.

    Raises:
        ValueError: Nothing was: Python would take that for the current folder.
    """
    text = tokens[0].value
    if not text:
        raise ValueError("it is empty.")
    return expand_home(Path(text))


TypedPath = Annotated[Path, Parameter(converter=read_path)]
"""What a command's own flag takes."""
