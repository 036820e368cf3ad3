"""What is asked of whoever gets to know a script."""

from pathlib import Path

from pydantic import Field

from multistage.domain.model import Model
from multistage.domain.runs.results import Config


class InitRequest(Model):
    """A script, and how it is got to know."""

    words: tuple[str, ...]
    """The script and its arguments, or a whole command; may be empty with a finished run."""
    config_id: str | None = None
    style: str | None = None
    """How the script takes its parameters, where that is told."""
    python: Path | None = None
    baseline: Config = Field(default_factory=dict)
    """Usual values of a script that has none itself."""
    limit: float = 60.0
    """Seconds that a run is watched."""
    whole: bool = False
    """Whether the run may come to its end."""
    no_run: bool = False
    from_run: str | None = None
    """A finished run to look at instead."""
