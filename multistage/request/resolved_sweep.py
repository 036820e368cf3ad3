"""The one way from a sweep's parameters to all that is needed to run it, and its hand-over to the flow."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from multistage.domain.model import Model
from multistage.domain.sweep.account import Account
from multistage.domain.sweep.plan import RunOptions, SweepPlan
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.workers.cost import Quote
from multistage.request.asked_sweep import read_parameters
from multistage.request.feasibility import check_launching, review_launching
from multistage.request.resolution import resolve_request
from multistage.request.sources.precedence import GatheredParameters
from multistage.services.notices import check_name
from multistage.settings import Settings
from multistage.store.sweep_folder import SweepFolder
from multistage.wandb_client.login import open_account


class ResolvedSweep(Model):
    """A sweep that can be run as it is: what, how, where, and on which server."""

    request: SweepRequest
    options: RunOptions
    plan: SweepPlan
    account: Account
    folder_path: Path
    resume: bool
    quote: Quote | None
    """What one worker costs; None where workers cost nothing."""
    gathered: GatheredParameters
    warnings: tuple[str, ...]
    """What is to be said of the request."""
    notes: tuple[str, ...]
    """What is to be said of this machine, and of settings that are not taken."""

    @property
    def folder(self) -> SweepFolder:
        """The sweep's folder; it need not exist yet."""
        return SweepFolder(self.folder_path)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What it was resolved from."""
        return self.gathered.parameters


def resolve_sweep(
    gathered: GatheredParameters, directory: Path, environment: Mapping[str, str], account: Account | None = None
) -> ResolvedSweep:
    """Check what was asked for and fill in every default; nothing is started or written.

    Args:
        gathered: The parameters.
        directory: Where trainings run, and a relative program is looked for.
        environment: This process's variables, before W&B's client was used.
        account: The server, where it is known; it is asked for otherwise, when all else makes sense.

    Raises:
        UsageError: If anything makes no sense, or cannot be done where trainings are to run.
        TrackerError: If the server cannot be reached.
    """
    asked = read_parameters(gathered.parameters, directory)
    begun = asked.folder.load_state() if asked.resume else asked.folder.read_state()
    request, options = asked.request, asked.options
    resolved = resolve_request(
        request,
        options.directory,
        lambda: account or open_account(request.tracker, request.entity),
        asked.folder_path.parent,
        begun.settings if begun else None,
    )
    if options.notify is not None:
        check_name(options.notify, Settings())
    quote = check_launching(resolved.plan, options, resolved.account)
    notes = review_launching(resolved.plan.settings, options, resolved.account, environment)
    return ResolvedSweep(
        request=request,
        options=options,
        plan=resolved.plan,
        account=resolved.account,
        folder_path=asked.folder_path,
        resume=asked.resume,
        quote=quote,
        gathered=gathered,
        warnings=resolved.warnings,
        notes=(*gathered.notes, *notes),
    )


_handed: ContextVar[list[ResolvedSweep] | None] = ContextVar("handed", default=None)


@contextmanager
def hand_over(sweep: ResolvedSweep) -> Iterator[None]:
    """Hand a resolved sweep to the flow that is run within this process, so that it need not be resolved again."""
    named_by_run = "{flow_run}" in sweep.folder_path.name  # its folder is the flow run's to name
    token = _handed.set([] if named_by_run else [sweep])
    try:
        yield
    finally:
        _handed.reset(token)


def take_over() -> ResolvedSweep | None:
    """Take the sweep that was handed over; None for a flow that was started otherwise, or is run again."""
    handed = _handed.get()
    return handed.pop() if handed else None
