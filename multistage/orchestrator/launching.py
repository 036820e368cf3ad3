"""Which launcher a sweep's workers come from, and whether what was asked of it can be done."""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from multistage.domain.account import Account
from multistage.domain.gpus import check_share
from multistage.domain.plan import RunOptions, SweepPlan, SweepSettings
from multistage.domain.resources import GRACE, Rates
from multistage.domain.styles import runs_module
from multistage.domain.variables import is_loopback
from multistage.domain.workers import ModalWorker, WorkerEnd, WorkerRecord
from multistage.errors import UsageError
from multistage.launchers.gpus import GpuDealer, find_gpus
from multistage.launchers.launcher import Launcher
from multistage.launchers.local import LocalLauncher
from multistage.launchers.modules import check_module
from multistage.options.modal import Resources
from multistage.training.catalogue import Trainer, find_trainer
from multistage.wandb_client.surroundings import review_surroundings
from multistage.worker.interpreter import Interpreter, inspect_interpreter


def find_bundled(settings: SweepSettings) -> Trainer | None:
    """Find the bundled trainer that a sweep trains with; None for a program of the user's own."""
    trainer = find_trainer(settings.config_id)
    return trainer if trainer and settings.command == tuple(trainer.command) else None


def open_launcher(
    settings: SweepSettings,
    options: RunOptions,
    logs: Path,
    server: Mapping[str, str],
    rates: Rates | None,
    list_workers: Callable[[], Sequence[WorkerRecord]],
) -> Launcher:
    """Open the launcher that was chosen.

    Args:
        settings: The sweep.
        options: How it is run.
        logs: Where local workers log.
        server: ``WANDB_BASE_URL`` and ``WANDB_API_KEY``.
        rates: Prices, for containers.
        list_workers: The workers that are noted.
    """
    bundled = find_bundled(settings)
    match options.launcher:
        case "local":
            return LocalLauncher(
                logs,
                environment=server,
                idle=options.worker_idle,
                config_id=bundled.config_id if bundled else None,
                directory=options.directory,
                interpreter=find_interpreter(settings, options),
                dealer=None if bundled else GpuDealer(options, list_workers, find_gpus()),
            )
        case "modal":
            from multistage.launchers.modal import ModalLauncher
            from multistage.launchers.modal_app import list_contents

            extras = (bundled.extra,) if bundled else ()
            return ModalLauncher(
                options.modal,
                list_contents(extras, options.project_dir, options.image_python),
                base_url=server["WANDB_BASE_URL"],
                idle=options.worker_idle,
                max_runs=options.runs_per_worker,
                directory=options.directory if options.project_dir else None,
                rates=rates,
            )


def stop_workers(records: Sequence[WorkerRecord], logs: Path) -> Sequence[WorkerRecord]:
    """End workers of whichever launcher by their records alone.

    Returns:
        The records; a container's says how it ended.

    Raises:
        LaunchError: Something survived, or Modal cannot be reached.
    """
    LocalLauncher(logs).stop(records)
    if not any(isinstance(record, ModalWorker) and record.end is None for record in records):
        return records
    from multistage.launchers.modal import ModalLauncher

    ended = []
    with ModalLauncher(Resources()) as launcher:
        launcher.stop(records)
        for record in records:
            if isinstance(record, ModalWorker) and record.end is None:
                seconds = (datetime.now(UTC) - record.launched_at).total_seconds()
                end = launcher.inspect(record) or WorkerEnd(fault="none", reason="It was stopped.", seconds=seconds)
                record = record.model_copy(update={"end": end})
            ended.append(record)
    return ended


def has_living_workers(records: Sequence[WorkerRecord], logs: Path) -> bool:
    """Whether any of these workers lives; one that nobody can ask about counts as living."""
    local = LocalLauncher(logs)
    if any(local.is_alive(record) for record in records):
        return True
    if not any(isinstance(record, ModalWorker) and record.end is None for record in records):
        return False
    from multistage.launchers.modal import ModalLauncher

    with ModalLauncher(Resources()) as launcher:
        return any(launcher.is_alive(record) for record in records)


def find_interpreter(settings: SweepSettings, options: RunOptions) -> Interpreter | None:
    """Find the interpreter of a sweep's trainings; None for this process's own, and for containers.

    Raises:
        UsageError: It is none, has no W&B client of a release that works, or was named for a bundled trainer.
    """
    if options.python is None or options.launcher != "local":
        return None
    if find_bundled(settings) is not None:
        raise UsageError(
            f"--python names an interpreter, and the bundled trainer of {settings.config_id} runs in this one.",
            "Leave it out, or train a program of your own.",
        )
    return inspect_interpreter(options.directory / options.python)


def check_launching(plan: SweepPlan, options: RunOptions, account: Account) -> Rates | None:
    """Refuse what cannot be done where the sweep's trainings are to run; nothing has been started then.

    Returns:
        The prices that were used; None where trainings run on this machine.

    Raises:
        UsageError: With the remedy.
    """
    if options.launcher == "local":
        interpreter = find_interpreter(plan.settings, options)
        if find_bundled(plan.settings) is None:
            path = str(interpreter.path) if interpreter else None
            check_module(plan.settings.program, plan.settings.command, options.directory, path)
            if options.gpus_per_run:
                check_share(len(find_gpus().devices), options.gpus_per_run, options.workers)
        return None
    if options.gpus_per_run is not None:
        raise UsageError("--gpus-per-run is for trainings on this machine.", "Give containers theirs: --modal-gpu T4.")
    _check_server(account)
    _check_program(plan.settings, options)
    most = max(stage.runs for stage in plan.stages)
    if options.workers > most:
        raise UsageError(
            f"{options.workers} workers are more than the {most} runs of the largest stage.", f"Use --workers {most}."
        )
    from modal.config import config

    if not (config.get("token_id") or config.get("oauth_refresh_token")):
        raise UsageError("Modal has no token on this machine.", "Make one with `modal token new`.")
    from multistage.launchers.modal_rates import fetch_rates

    rates = fetch_rates()
    worst = price_worker(options, rates)
    if options.max_cost is not None and options.max_cost < worst:
        raise UsageError(
            f"--max-cost {options.max_cost:g} is below ${worst:.3f}, which one run may cost "
            f"({options.modal.timeout} s at ${rates.price(options.modal) * 3600:.3f} an hour).",
            "Raise it, or lower --modal-timeout.",
        )
    return rates


def review_launching(
    settings: SweepSettings, options: RunOptions, account: Account, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Say what of this user's surroundings trainings do not get, a sentence each.

    Args:
        settings: The sweep.
        options: How it is run.
        account: The W&B server.
        environment: This process's variables, before W&B's client was used.

    Raises:
        UsageError: Runs would not reach their sweep.
    """
    if options.launcher != "local":
        return ("Containers have a Python of their own: --python counts for nothing.",) if options.python else ()
    server = account.base_url if account.kind == "wandb" else None
    program = Path(settings.program) if settings.program else None
    return review_surroundings(options.directory, program, server, environment)


def price_worker(options: RunOptions, rates: Rates) -> float:
    """Price the longest life of one worker; dollars."""
    return (options.modal.timeout + GRACE) * rates.price(options.modal)


def _check_server(account: Account) -> None:
    login = "Log in with `wandb login`, so that they report to W&B."
    if account.kind == "embedded":
        raise UsageError("Containers on Modal cannot reach the embedded W&B server on this machine.", login)
    if is_loopback(account.base_url) and not is_loopback(os.environ.get("MODAL_SERVER_URL")):
        raise UsageError(f"Containers on Modal cannot reach {account.base_url}, which is this machine.", login)


def _check_program(settings: SweepSettings, options: RunOptions) -> None:
    project = options.project_dir
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
