"""What the process that drives a sweep sees beside its state."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from multistage.domain.live.summary import Standing
from multistage.domain.model import Model
from multistage.domain.runs.slots import RunRecord
from multistage.domain.runs.vigilance import Intake

Curve = tuple[tuple[float, float], ...]
"""Rows logged, and the metric then."""


class Sight(Model):
    """One look at a sweep."""

    runs: tuple[RunRecord, ...] = ()
    """Every attempt of every stage that is known."""
    curves: Mapping[str, Curve] = Field(default_factory=dict)
    """How the metric of runs in training has developed, by the run's id."""
    reasons: Mapping[str, str] = Field(default_factory=dict)
    """Why runs failed that have not said so themselves, by the run's id."""
    present: int | None = None
    """Workers that are there; None where nobody has looked."""
    exhausted: bool = False
    """Whether no further worker can be paid."""
    intake: Intake = "open"
    away: str = ""
    """Why the W&B server could not be asked at the last look; empty where it could."""
    standing: Standing | None = None
    warnings: tuple[str, ...] = ()
    since: datetime
    """When this process began to drive the sweep."""
    resume: str = ""
    """The command that goes on with it."""
    called: str = ""
    """The sweep as a command takes it; empty for its name."""
    links: Mapping[str, str] = Field(default_factory=dict)
    """Pages elsewhere, by what they are."""
    stage_links: Mapping[int, str] = Field(default_factory=dict)
    """The tracker's pages of the stages' sweeps."""
    run_base: str | None = None
    """The project's page; a run's is ``/runs/ID`` below it."""
