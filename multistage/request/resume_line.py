"""How a command names a sweep, and resumes it: as briefly as that works from the current folder."""

from collections.abc import Sequence
from pathlib import Path

from multistage.errors import UsageError
from multistage.request.sources.precedence import list_runs_dirs
from multistage.store.sweep_folder import SweepFolder


def write_resume(folder: SweepFolder) -> str:
    """Write the command: by the sweep's name where the current folder's settings find it, else by its path."""
    return folder.write_resume(_list_places())


def write_name(folder: SweepFolder) -> str:
    """Write a sweep as a command takes it: by its name where the current folder's settings find it, else by its path.

    It is quoted for a shell.
    """
    return folder.write_name(_list_places())


def _list_places() -> Sequence[Path]:
    try:
        return list_runs_dirs(Path.cwd())
    except UsageError:  # a damaged settings file has its own sentence wherever it matters
        return ()
