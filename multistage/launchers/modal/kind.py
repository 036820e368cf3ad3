"""What a sweep in containers on Modal needs, and what it costs."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import modal
import modal.exception as refusals
from modal.config import config

from multistage.domain.sweep.account import Account
from multistage.domain.sweep.budget import bound_workers, parse_split
from multistage.domain.sweep.plan import RunOptions, RunRequest, SweepPlan, SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.workers.cost import Prices, Quote
from multistage.domain.workers.styles import runs_module
from multistage.domain.workers.variables import is_loopback
from multistage.domain.workers.worker_records import Fee
from multistage.errors import UsageError
from multistage.installation import Look
from multistage.launchers.base import Assignment, LauncherKind, Traits, fill_options
from multistage.launchers.modal import prices as tariff
from multistage.launchers.modal.app import SECRET, SECRET_KEY, list_contents
from multistage.launchers.modal.faults import explain_refusal
from multistage.launchers.modal.launcher import TRAITS, ModalLauncher
from multistage.launchers.modal.options import ModalOptions
from multistage.launchers.modal.prices import GRACE, Rates
from multistage.launchers.modal.records import NAME
from multistage.options.modal import name_gpu
from multistage.training.catalogue import find_bundled

USUAL_WORKERS = 8
"""Containers at once unless told otherwise."""
START = 15.0
"""Seconds that a container is paid for before its first run."""


class ModalKind(LauncherKind):
    """Workers in containers on Modal."""

    name = NAME
    subject = "Modal"

    @property
    def traits(self) -> Traits:
        """They cost money, and the first has to prove itself."""
        return TRAITS

    def open(self, assignment: Assignment) -> ModalLauncher:
        """Open a launcher that starts a sweep's workers."""
        options, bundled = assignment.options, find_bundled(assignment.settings)
        own = _read(options)
        return ModalLauncher(
            own,
            list_contents((bundled.extra,) if bundled else (), own.project_dir, own.image_python),
            base_url=assignment.server["WANDB_BASE_URL"],
            idle=options.worker_idle,
            max_runs=own.runs_per_worker,
            directory=options.directory if own.project_dir else None,
            rates=Rates.unpack(assignment.prices),
        )

    def attend(self, logs: Path) -> ModalLauncher:
        """Open a launcher that watches and ends workers."""
        return ModalLauncher(ModalOptions())

    def count_workers(self, request: SweepRequest, requested: RunRequest, is_bundled: bool) -> int:
        """Return a usual number of containers, of which none would have nothing to do."""
        return bound_workers(USUAL_WORKERS, request.budget, parse_split(request.split))

    def check(self, plan: SweepPlan, options: RunOptions) -> None:
        """Refuse what containers cannot have, and a machine that may start none."""
        if options.gpus_per_run is not None:
            raise UsageError(
                "--gpus-per-run is for trainings on this machine.", "Give containers theirs: --modal-gpu T4."
            )
        _check_program(plan.settings, _read(options).project_dir)
        most = max(stage.runs for stage in plan.stages)
        if options.workers > most:
            raise UsageError(
                f"{options.workers} workers are more than the {most} runs of the largest stage.",
                f"Use --workers {most}.",
            )
        if not _has_token():
            raise UsageError("Modal has no token on this machine.", "Make one with `modal token new`.")

    def review(
        self,
        settings: SweepSettings,
        options: RunOptions,
        account: Account,
        environment: Mapping[str, str],
    ) -> tuple[str, ...]:
        """Say that an interpreter of this machine means nothing in a container."""
        return ("Containers have a Python of their own: --python is ignored.",) if options.python else ()

    def reaches(self, account: Account) -> bool:
        """Whether containers reach a W&B server; those of a Modal on this machine reach one that listens here."""
        is_modal_here = is_loopback(os.environ.get("MODAL_SERVER_URL"))
        return super().reaches(account) or (is_modal_here and account.kind == "wandb")

    def fetch_prices(self) -> Prices:
        """Ask Modal; where it does not tell, the dated table stands."""
        return tariff.fetch_rates().pack()

    def quote(self, options: RunOptions, prices: Prices) -> Quote:
        """Return what one container costs, and of what that is made up."""
        own, rates = _read(options), Rates.unpack(prices)
        parts = [
            f"{own.cpu:g} cores at ${rates.core * 3600:.4g} each",
            f"{own.memory:g} GiB at ${rates.gib * 3600:.4g} each",
        ]
        if own.gpu:
            name, count = name_gpu(own.gpu)
            parts.append(f"{count} {name} at ${rates.gpus[name] * 3600:.4g} each")
        region = f", and more in the region {own.region}" if own.region else ""
        return Quote(
            title="Modal",
            worker="A container",
            fee=Fee(rate=rates.price(own), seconds=own.timeout + GRACE),
            longest_run=own.timeout,
            start=START,
            parts=(*parts[:-1], parts[-1] + region),
            source=rates.source,
            remedy="Raise it, or lower --modal-timeout.",
        )

    def examine(self) -> Iterator[Look]:
        """Look for the token, and for the secret that containers report with."""
        if not _has_token():
            yield "note", "There is no token; only --launcher modal needs one.", "`modal token new`"
            return
        try:
            modal.Secret.from_name(SECRET, required_keys=[SECRET_KEY]).hydrate()
        except (refusals.Error, OSError) as error:
            raise explain_refusal(error) from error
        yield "good", f"token and secret {SECRET!r}", ""


def _read(requested: RunRequest) -> ModalOptions:
    return fill_options(ModalOptions, NAME, requested)


def _has_token() -> bool:
    return bool(config.get("token_id") or config.get("oauth_refresh_token"))


def _check_program(settings: SweepSettings, project: Path | None) -> None:
    if project is not None and not project.is_dir():
        raise UsageError(f"The project folder {project} does not exist.", "Give --project-dir a folder.")
    if find_bundled(settings) is not None:
        return
    if project is None:
        raise UsageError("Containers need the project of your program.", "Give its folder as --project-dir.")
    if settings.program is None or runs_module(settings.command):
        return
    if not Path(settings.program).is_relative_to(project):
        raise UsageError(
            f"The program {settings.program} is not in the project folder {project}.",
            "Give the folder that holds it as --project-dir.",
        )
