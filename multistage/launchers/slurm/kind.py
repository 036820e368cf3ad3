"""What a sweep on a Slurm cluster needs."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from multistage.domain.sweep.account import Account, TrackerKind
from multistage.domain.sweep.budget import bound_workers, parse_split
from multistage.domain.sweep.plan import RunOptions, RunRequest, SweepPlan, SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.errors import LaunchError, UsageError
from multistage.installation import Look
from multistage.launchers.base import Assignment, LauncherKind, Traits, fill_options
from multistage.launchers.interpreters import check_python, find_interpreter
from multistage.launchers.slurm.cluster import (
    check_resources,
    choose_groups,
    find_limit,
    read_cluster,
)
from multistage.launchers.slurm.commands import call, require_slurm
from multistage.launchers.slurm.launcher import TRAITS, SlurmLauncher
from multistage.launchers.slurm.options import JobOptions
from multistage.launchers.slurm.records import NAME
from multistage.launchers.slurm.rehearsal import rehearse
from multistage.options.slurm import parse_time
from multistage.wandb_client.surroundings import review_training

USUAL_WORKERS = 8
"""Jobs at once unless told otherwise."""
SHORTEST_LIMIT = 60.0
"""Seconds below which a job is over before its worker has trained."""


class SlurmKind(LauncherKind):
    """Workers in jobs on Slurm."""

    name = NAME
    subject = "Slurm"

    @property
    def traits(self) -> Traits:
        """They cost nothing, are on other machines, and see the same files."""
        return TRAITS

    def open(self, assignment: Assignment) -> SlurmLauncher:
        """Open a launcher that starts a sweep's workers."""
        settings, options = assignment.settings, assignment.options
        own = _read(options)
        return SlurmLauncher(
            assignment.logs,
            own,
            variables=assignment.server,
            idle=options.worker_idle,
            find_limit=lambda: _find_limit(own),
            directory=options.directory,
            interpreter=find_interpreter(settings, options.directory, own.python),
        )

    def attend(self, logs: Path) -> SlurmLauncher:
        """Open a launcher that watches and ends workers."""
        return SlurmLauncher(logs)

    def count_workers(self, request: SweepRequest, requested: RunRequest, is_bundled: bool) -> int:
        """Return a usual number of jobs, of which none would have nothing to do."""
        return bound_workers(USUAL_WORKERS, request.budget, parse_split(request.split))

    def check(self, plan: SweepPlan, options: RunOptions) -> None:
        """Refuse what no node has, or Slurm would not take."""
        own = _read(options)
        check_python(plan.settings, options.directory, own.python)
        if own.tunnel is not None and plan.settings.tracker == "wandb":
            raise UsageError("--slurm-tunnel leads to the embedded server, and W&B tracks this sweep.", "Leave it out.")
        require_slurm()
        groups = choose_groups(read_cluster(), own)
        check_resources(groups, own)
        limit = find_limit(groups, own)
        rehearse(own, options.workers, list(dict.fromkeys(group.partition for group in groups)), limit)
        if limit is not None and limit < SHORTEST_LIMIT:
            raise UsageError(
                f"A job of {limit:g} s ends before it has trained.", "Give it at least a few minutes: --slurm-time 30."
            )

    def review(
        self, settings: SweepSettings, options: RunOptions, account: Account, environment: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Say what of the user's shell, files and ``.env`` trainings do not get."""
        return review_training(settings, options.directory, account, environment)

    def describe(self, settings: SweepSettings, options: RunOptions) -> tuple[str, ...]:
        """Say what jobs have, and which nodes they may be on."""
        own = _read(options)
        groups = choose_groups(read_cluster(), own)
        limit = find_limit(groups, own)
        each = [
            f"{own.cpus} core{'s' if own.cpus > 1 else ''}",
            *([f"{own.memory} of memory"] if own.memory else []),
            *([f"GPUs {gpus}"] if (gpus := own.choose_gpus()) else []),
            f"{limit / 60:g} minutes at most" if limit is not None else "no time limit",
        ]
        names = ", ".join(dict.fromkeys(group.partition for group in groups))
        nodes = sum(group.nodes for group in groups)
        told = f"Slurm's partition {names}, {nodes} nodes; each job has {', '.join(each)}."
        return (told, f"Jobs reach the server by way of {own.tunnel}.") if own.tunnel else (told,)

    def needs_address(self, tracker: TrackerKind, options: RunOptions) -> bool:
        """Whether the embedded server has to listen beside 127.0.0.1: not where a tunnel leads to it."""
        if _read(options).tunnel is not None and options.server_host is None:
            return False
        return super().needs_address(tracker, options)

    def find_peer(self) -> str | None:
        """Ask Slurm for the address of a node; where it does not answer, the usual way out of this machine will do."""
        try:
            return next(iter(call("sinfo", "--noheader", "--format=%o").split()), None)
        except LaunchError:
            return None

    def examine(self) -> Iterator[Look]:
        """Count the nodes."""
        try:
            require_slurm()
            groups = read_cluster()
        except (UsageError, LaunchError) as error:
            yield "note", f"{error.message} Only --launcher slurm needs it.", error.hint
            return
        names = dict.fromkeys(group.partition for group in groups)
        yield "good", f"{sum(group.nodes for group in groups)} nodes in the partitions {', '.join(names)}", ""


def _read(requested: RunRequest) -> JobOptions:
    return fill_options(JobOptions, NAME, requested)


def _find_limit(own: JobOptions) -> float | None:
    """Seconds that a job may take; the cluster is asked only where nobody said."""
    return parse_time(own.time) if own.time else find_limit(choose_groups(read_cluster(), own), own)
