"""What a sweep needs whose workers others start."""

from collections.abc import Iterator
from pathlib import Path

from multistage.domain.sweep.plan import RunOptions, RunRequest, SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.installation import Look
from multistage.launchers.base import Assignment, LauncherKind, Traits
from multistage.launchers.external.launcher import TRAITS, ExternalLauncher

NAME = "external"
USUAL_WORKERS = 8
"""Runs that are queued ahead unless told otherwise."""


class ExternalKind(LauncherKind):
    """Workers that come by themselves."""

    name = NAME
    subject = "other machines"

    @property
    def traits(self) -> Traits:
        """They cost this sweep nothing, and nobody knows them."""
        return TRAITS

    def open(self, assignment: Assignment) -> ExternalLauncher:
        """Open what waits for them."""
        settings, server = assignment.settings, assignment.server
        name = assignment.logs.parent.name
        place = server["WANDB_BASE_URL"] if settings.tracker == "embedded" else f"{settings.entity}/{settings.project}"
        return ExternalLauncher(assignment.logs, server, f"{place}/{name}")

    def attend(self, logs: Path) -> ExternalLauncher:
        """Open what knows nobody."""
        return ExternalLauncher(logs)

    def count_workers(self, request: SweepRequest, requested: RunRequest, is_bundled: bool) -> int:
        """Return a usual number of runs to be queued ahead."""
        return USUAL_WORKERS

    def describe(self, settings: SweepSettings, options: RunOptions) -> tuple[str, ...]:
        """Say that nobody is started."""
        return ("No worker is started: trainings run wherever `multistage-sweep work` does.",)

    def examine(self) -> Iterator[Look]:
        """Nothing to look at."""
        yield "good", "`multistage-sweep work` trains for a sweep from any machine", ""
