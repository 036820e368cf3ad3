"""Paths as users write them."""

import os
from pathlib import Path


def expand_home(path: Path) -> Path:
    """Write out a path's ``~`` or ``~user``; where there is no such user it stays, as in a shell."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises there
