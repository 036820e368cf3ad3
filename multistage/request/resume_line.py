"""The command that resumes a sweep, as short as it works from the current folder."""

from pathlib import Path

from multistage.errors import UsageError
from multistage.request.sources.precedence import list_runs_dirs
from multistage.store.sweep_folder import SweepFolder


def write_resume(folder: SweepFolder) -> str:
    """Write the command: by the sweep's name where the current folder's settings find it, else by its path."""
    try:
        places = list_runs_dirs(Path.cwd())
    except UsageError:  # a damaged settings file has its own sentence wherever it matters
        return folder.resume_command
    return folder.write_resume(places)
