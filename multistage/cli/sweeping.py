"""The commands that run a sweep, or show what it would run."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from multistage.cli.flags import NO_FLAGS, SweepFlags, collect_parameters
from multistage.cli.services import renew_prefect_server, renew_server
from multistage.errors import ServiceError, UsageError
from multistage.settings import Settings

if TYPE_CHECKING:
    from multistage.domain.account import Account
    from multistage.domain.slots import RunRecord
    from multistage.request.preparation import AskedSweep
    from multistage.request.resolution import ResolvedRequest
    from multistage.services import PrefectServer

INTERRUPTED = 130


def sweep(
    config_id: str | None = None,
    /,
    *,
    flags: SweepFlags = NO_FLAGS,
    resume: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Run a sweep: three stages of training runs, then the best config.

    Args:
        config_id: What to train, such as CartPole-v1:ppo; a sweep file may say it instead.
        flags: The sweep.
        resume: Go on with a sweep: its state.json, its folder or its name.
        as_json: End the output with the result as one JSON object; everything else goes to the standard error.
    """
    if config_id is None and resume is None and flags.sweep_file is None:
        raise UsageError(
            "No CONFIG_ID was given.",
            "Name what to train, such as CartPole-v1:ppo, give a --sweep-file, or --resume a sweep.",
        )
    gathered = collect_parameters(config_id, flags, resume)
    return run_sweep(gathered.parameters, Console(stderr=as_json), as_json, gathered.notes)


def plan(
    config_id: str | None = None,
    /,
    *,
    flags: SweepFlags = NO_FLAGS,
    run_seconds: float | None = None,
    canary: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Show what a sweep would run, how long that takes, and what to look at twice; start nothing.

    Args:
        config_id: What to train; a sweep file may say it instead.
        flags: The sweep.
        run_seconds: Length of one run. [default: as in an earlier sweep, else by the trainer's own pace]
        canary: Train one run first, outside any budget, to see whether it logs the metric and how long it takes.
    """
    if config_id is None and flags.sweep_file is None:
        raise UsageError("No CONFIG_ID was given.", "Name what to train, such as CartPole-v1:ppo.")
    from multistage.domain.advice import estimate_seconds
    from multistage.driver.launching import check_launching, describe_place, review_launching
    from multistage.report.costs import draw_estimate, format_duration
    from multistage.report.plan import draw_plan, draw_sources
    from multistage.request.forecast import Pace, find_pace, warn_of
    from multistage.request.preparation import check_folder
    from multistage.store.sweep_folder import read_states

    gathered = collect_parameters(config_id, flags, None)
    environment = dict(os.environ)
    asked, resolved, account = resolve_parameters(gathered.parameters)
    quote = check_launching(resolved.plan, asked.options, account)
    notes = review_launching(resolved.plan.settings, asked.options, account, environment)
    console = Console()
    console.print(account.reason, highlight=False, soft_wrap=True, markup=False)
    for line in describe_place(resolved.plan.settings, asked.options):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    pace = find_pace(resolved.plan.settings, read_states(asked.folder_path.parent))
    rows = None
    if run_seconds is not None:
        pace = Pace(seconds=run_seconds, source="as given")
    if canary:
        run, seconds_trained = _train_canary(asked, resolved, console)
        pace, rows = Pace(seconds=seconds_trained, source="as the canary did"), run.rows
    seconds = pace.seconds if pace else None
    console.print(draw_plan(resolved.plan, asked.options, asked.folder_path, seconds))
    if pace is not None:
        whole = format_duration(estimate_seconds(resolved.plan, asked.options.workers, pace.seconds))
        console.print(f"About {whole}: a run takes {pace.seconds:.3g} s, {pace.source}.", highlight=False)
    console.print(draw_sources(gathered.parameters, gathered.sources, resolved.plan, asked.options))
    if quote is not None:
        console.print(draw_estimate(resolved.plan, asked.options, quote, seconds))
    for warning in dict.fromkeys(
        (*gathered.notes, *notes, *warn_of(resolved.plan, asked.options, rows, resolved.warnings))
    ):
        console.print(f"Warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    check_folder(asked.folder, resolved, resume=False)
    return 0


def _train_canary(asked: "AskedSweep", resolved: "ResolvedRequest", console: Console) -> "tuple[RunRecord, float]":
    """Train one run; gives it, and its seconds: its own count, else the whole wait, its worker's start included."""
    from multistage.report.banner import format_number
    from multistage.report.costs import format_dollars
    from multistage.retraining.replication import open_canary

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        console.status("Training one run ..."),
        explain_interruption(console, "Nothing is left of the canary."),
        open_canary(asked, resolved) as sweep,
    ):
        began = time.monotonic()
        run = sweep.train()[0].decisive
        waited, dollars = time.monotonic() - began, sweep.dollars
    told = f"{resolved.plan.settings.metric} {format_number(run.value)}, {run.rows} rows of {', '.join(run.logged)}"
    told += f", for {format_dollars(dollars)}" if dollars is not None else ""
    console.print(f"Canary: {told}. {sweep.url}", highlight=False, soft_wrap=True, markup=False)
    return run, run.runtime or waited


@contextlib.contextmanager
def explain_interruption(console: Console, what_next: str) -> Iterator[None]:
    """Say after Ctrl+C what became of the trainings, and what can be done."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(f"\nInterrupted; its trainings were ended. {what_next}", soft_wrap=True, markup=False)
        raise


def resume(
    name: str,
    /,
    *,
    flags: SweepFlags = NO_FLAGS,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Go on with a sweep that ended before its budget was used.

    Args:
        name: The sweep's name, its folder or its state.json.
        flags: What to change: workers and where it runs, never what the sweep is.
        as_json: End the output with the result as one JSON object.
    """
    return run_sweep(collect_parameters(None, flags, name).parameters, Console(stderr=as_json), as_json)


def resolve_parameters(parameters: Mapping[str, Any]) -> "tuple[AskedSweep, ResolvedRequest, Account]":
    """Check what was asked for, before anything is asked of a server, and then for the server that was chosen."""
    from multistage.request.preparation import read_parameters
    from multistage.request.resolution import resolve_request

    asked = read_parameters(parameters, Path.cwd())
    runs_dir = asked.folder_path.parent
    if asked.request.adopted is None:
        resolve_request(asked.request, asked.options.directory, runs_dir=runs_dir)

    from multistage.wandb_client.login import open_account

    account = open_account(asked.request.tracker, asked.request.entity)
    return asked, resolve_request(asked.request, asked.options.directory, account, runs_dir), account


def run_sweep(parameters: Mapping[str, Any], console: Console, as_json: bool, left_out: Sequence[str] = ()) -> int:
    """Run a sweep from its parameters, in front of its user.

    Args:
        parameters: Of its flow, and what says which flow that is.
        console: Where to show it.
        as_json: Whether to end the output with the result as one JSON object.
        left_out: What stands in the settings and is not taken.

    Returns:
        The exit code.
    """
    from multistage.cli.live_view import LiveView
    from multistage.cli.terminal_warnings import show_advice, show_warnings
    from multistage.driver.launching import check_launching, review_launching, tell_workers_fate
    from multistage.installation import check_installation
    from multistage.report.banner import format_banner
    from multistage.request.forecast import warn_of
    from multistage.request.preparation import check_folder
    from multistage.services import ensure_prefect_server

    check_installation()
    environment = dict(os.environ)
    asked, resolved, account = resolve_parameters(parameters)
    check_folder(asked.folder, resolved, asked.resume)
    check_launching(resolved.plan, asked.options, account)
    notes = review_launching(resolved.plan.settings, asked.options, account, environment)
    console.print(account.reason, highlight=False, soft_wrap=True, markup=False)
    for note in (*left_out, *notes):
        console.print(f"Warning: {note}", style="yellow", markup=False, soft_wrap=True)
    if not asked.resume:
        show_advice(console, warn_of(resolved.plan, asked.options, notes=resolved.warnings))
    console.print(f"Sweep folder: {asked.folder.path}", highlight=False, soft_wrap=True, markup=False)
    if account.kind == "embedded" and (note := renew_server(Settings())):
        console.print(note, soft_wrap=True, markup=False)
    if note := renew_prefect_server(Settings()):
        console.print(note, soft_wrap=True, markup=False)
    server = ensure_prefect_server(Settings())
    asks = " (`multistage-sweep status` shows its password)" if server.secret else ""
    console.print(f"Prefect UI: {server.ui_url}{asks} {server.note}".rstrip(), highlight=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    go_on = f"multistage-sweep --resume {asked.folder.state_file}"
    try:
        with LiveView(asked.folder, console), show_warnings(console):
            state = _run_flow({**parameters, "tracker": account.kind}, server)
    except KeyboardInterrupt:
        ended = f"\nInterrupted; {tell_workers_fate(asked.options)}. Go on with: {go_on}"
        console.print(ended, soft_wrap=True, markup=False)
        return INTERRUPTED
    except Exception as error:
        if is_server_gone(error):
            raise ServiceError(
                f"The Prefect server {server.ui_url} went away. Workers train on what is queued.",
                f"Go on with: {go_on}",
            ) from error
        if asked.folder.state_file.is_file():
            console.print(f"The sweep has stopped. Go on with: {go_on}", soft_wrap=True, markup=False)
        raise
    console.print(format_banner(state, asked.folder.state_file), highlight=False, soft_wrap=True, markup=False)
    if (asked.folder.path / "report.html").is_file():
        console.print(f"Report: {asked.folder.path / 'report.html'}", highlight=False, soft_wrap=True, markup=False)
    console.print("The two local services stay up for the pages; `multistage-sweep down` stops them.", soft_wrap=True)
    if as_json:
        print(json.dumps(state.model_dump(mode="json", exclude={"settings", "request", "options", "plan", "workers"})))
    return 0


def _run_flow(parameters: Mapping[str, Any], server: "PrefectServer") -> Any:
    from multistage.services import enter_prefect_server

    enter_prefect_server(server, Settings(), os.environ)
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "multistage")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    flow = _load_flow(single=bool(parameters.get("single")))
    from multistage.services import watch_prefect_server
    from multistage.services.registration import register_with_prefect

    if server.started:
        register_with_prefect(server)
    given = {**parameters, "count": parameters.get("budget")}
    taken = {name: given[name] for name in signature(flow.fn).parameters if given.get(name) is not None}
    with watch_prefect_server(Settings()) if server.pid is not None else contextlib.nullcontext():
        return flow(**taken)


def is_server_gone(error: BaseException | None) -> bool:
    """Tell whether an error comes from a Prefect server that could not be reached."""
    import httpx

    while error is not None:
        if isinstance(error, httpx.TransportError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _load_flow(*, single: bool) -> Any:
    if single:
        from multistage.pipeline.flows.single_sweep import single_sweep

        return single_sweep
    from multistage.pipeline.flows.multistage_sweep import multistage_sweep

    return multistage_sweep
