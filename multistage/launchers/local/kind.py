"""What a sweep on this machine needs, and what of this machine it is for."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from multistage.domain.sweep.account import Account
from multistage.domain.sweep.plan import RunOptions, RunRequest, SweepPlan, SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.workers.gpu_shares import GpuShare, check_share, split_gpu
from multistage.installation import Look
from multistage.launchers.base import Assignment, LauncherKind, Traits, fill_options
from multistage.launchers.gpus import find_gpus
from multistage.launchers.interpreters import check_python, find_interpreter
from multistage.launchers.local.cores import count_cores
from multistage.launchers.local.gpu_dealer import GpuDealer
from multistage.launchers.local.launcher import TRAITS, LocalLauncher
from multistage.launchers.local.options import LocalOptions
from multistage.launchers.local.records import NAME
from multistage.training.catalogue import find_bundled
from multistage.wandb_client.surroundings import review_training
from multistage.worker.interpreter import Interpreter


class LocalKind(LauncherKind):
    """Workers as processes of this machine."""

    name = NAME
    subject = "GPUs"

    @property
    def traits(self) -> Traits:
        """They cost nothing, and reach what listens on this machine."""
        return TRAITS

    def open(self, assignment: Assignment) -> LocalLauncher:
        """Open a launcher that starts a sweep's workers."""
        settings, options = assignment.settings, assignment.options
        own, bundled = _read(options), find_bundled(settings)
        dealer = GpuDealer(own.gpus_per_run, options.workers, assignment.list_workers, find_gpus())
        return LocalLauncher(
            assignment.logs,
            environment=assignment.server,
            idle=options.worker_idle,
            config_id=bundled.config_id if bundled else None,
            directory=options.directory,
            interpreter=_find_interpreter(settings, options),
            dealer=None if bundled else dealer,
        )

    def attend(self, logs: Path) -> LocalLauncher:
        """Open a launcher that watches and ends workers."""
        return LocalLauncher(logs)

    def count_workers(self, request: SweepRequest, requested: RunRequest, is_bundled: bool) -> int:
        """Count the trainings that this machine is for: its cores, or as many as its GPUs allow."""
        per_run = _read(requested).gpus_per_run
        gpus = 0 if per_run == 0 or is_bundled else len(find_gpus().devices)
        if not gpus:
            return count_cores()
        share = split_gpu(per_run) if per_run else GpuShare(each=1)
        return max(1, min(count_cores(), share.count_workers(gpus)))

    def check(self, plan: SweepPlan, options: RunOptions) -> None:
        """Refuse an interpreter, a module or GPUs that are not there."""
        check_python(plan.settings, options.directory, _read(options).python)
        if find_bundled(plan.settings) is not None:
            return
        if per_run := _read(options).gpus_per_run:
            check_share(len(find_gpus().devices), per_run, options.workers)

    def review(
        self, settings: SweepSettings, options: RunOptions, account: Account, environment: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Say what of the user's shell, files and ``.env`` trainings do not get."""
        return review_training(settings, options.directory, account, environment)

    def describe(self, settings: SweepSettings, options: RunOptions) -> tuple[str, ...]:
        """Say which GPUs there are, and which interpreter is not this process's own."""
        interpreter = _find_interpreter(settings, options)
        return (
            *([] if find_bundled(settings) else [f"This machine: {find_gpus().describe()} found."]),
            *([f"Trainings run by {interpreter.describe()}."] if interpreter else []),
        )

    def examine(self) -> Iterator[Look]:
        """Count the GPUs."""
        gpus = find_gpus()
        use = "; a sweep of your own script deals them out among its workers" if gpus.devices else ""
        yield "good", f"{gpus.describe()} found{use}", ""


def _read(requested: RunRequest) -> LocalOptions:
    return fill_options(LocalOptions, NAME, requested)


def _find_interpreter(settings: SweepSettings, options: RunOptions) -> Interpreter | None:
    return find_interpreter(settings, options.directory, _read(options).python)
