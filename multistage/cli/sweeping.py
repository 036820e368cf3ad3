"""The commands that run a sweep, or show what it would run."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from multistage.cli.flags import NO_FLAGS, SweepFlags
from multistage.cli.page_line import print_page
from multistage.cli.prose import print_prose
from multistage.cli.services import renew_prefect_server, renew_server
from multistage.domain.durations import format_duration
from multistage.errors import ServiceError, UsageError
from multistage.options.refusal import check_seconds
from multistage.settings import Settings

if TYPE_CHECKING:
    from multistage.domain.runs.slots import RunRecord
    from multistage.domain.sweep.account import Account
    from multistage.request.resolved_sweep import ResolvedSweep
    from multistage.request.sources.precedence import GatheredParameters
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
        resume: Resume a sweep: its state.json, its folder or its name.
        as_json: End the output with the result as one JSON object; everything else goes to the standard error.
    """
    if config_id is None and resume is None and not flags.names_file():
        raise UsageError(
            "No CONFIG_ID was given.",
            "Name what to train, such as CartPole-v1:ppo, give a --sweep-file, or --resume a sweep.",
        )
    return run_sweep(collect(config_id, flags, resume), Console(stderr=as_json), as_json)


def plan(
    config_id: str | None = None,
    /,
    *,
    flags: SweepFlags = NO_FLAGS,
    run_seconds: float | None = None,
    canary: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Show what a sweep would run, how long that takes, and what to double-check; start nothing.

    Args:
        config_id: What to train; a sweep file may say it instead.
        flags: The sweep.
        run_seconds: Length of one run. [default: as in an earlier sweep, else by the trainer's own pace]
        canary: Train one run first, outside any budget, to see whether it logs the metric and how long it takes.
    """
    if config_id is None and not flags.names_file():
        raise UsageError("No CONFIG_ID was given.", "Name what to train, such as CartPole-v1:ppo.")
    if run_seconds is not None:
        check_seconds("--run-seconds", run_seconds)
    from multistage.domain.sweep.advice import estimate_seconds
    from multistage.report.costs import draw_estimate
    from multistage.report.plan import draw_plan, draw_sources
    from multistage.request.feasibility import describe_place
    from multistage.request.forecast import Pace, find_pace, warn_of
    from multistage.request.preparation import check_folder
    from multistage.store.sweep_folder import read_states

    sweep = resolve(collect(config_id, flags))
    settings, options = sweep.plan.settings, sweep.options
    console = Console()
    print_prose(console, sweep.account.reason)
    for line in describe_place(settings, options):
        print_prose(console, line)
    pace = find_pace(settings, read_states(sweep.folder_path.parent))
    rows = None
    if run_seconds is not None:
        pace = Pace(seconds=run_seconds, source="as given")
    if canary:
        run, seconds_trained = _train_canary(sweep, console)
        pace, rows = Pace(seconds=seconds_trained, source="as the canary did"), run.rows
    seconds = pace.seconds if pace else None
    console.print(draw_plan(sweep.plan, options, sweep.folder_path, seconds))
    if pace is not None:
        whole = format_duration(estimate_seconds(sweep.plan, options.workers, pace.seconds))
        console.print(f"About {whole}: a run takes {pace.seconds:.3g} s, {pace.source}.", highlight=False)
    console.print(draw_sources(sweep.parameters, sweep.gathered.sources, sweep.plan, options))
    if sweep.quote is not None:
        console.print(draw_estimate(sweep.plan, options, sweep.quote, seconds))
    for warning in dict.fromkeys((*sweep.notes, *warn_of(sweep.plan, options, rows, sweep.warnings))):
        print_prose(console, f"Warning: {warning}", "yellow")
    check_folder(sweep.folder, sweep.plan, resume=False)
    return 0


def _train_canary(sweep: "ResolvedSweep", console: Console) -> "tuple[RunRecord, float]":
    """Train one run; returns it, and its seconds: its own count, else the whole wait, its worker's start included."""
    from multistage.report.banner import format_number
    from multistage.report.costs import format_dollars
    from multistage.retraining.replication import open_canary

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        console.status("Training one run ..."),
        explain_interruption(console, "Nothing is kept of the canary."),
        open_canary(sweep) as side,
    ):
        began = time.monotonic()
        run = side.train()[0].decisive
        waited, dollars = time.monotonic() - began, side.dollars
    told = f"{sweep.plan.settings.metric} {format_number(run.value)}, {run.rows} rows of {', '.join(run.logged)}"
    told += f", for {format_dollars(dollars)}" if dollars is not None else ""
    console.print(f"Canary: {told}. {side.url}", highlight=False, soft_wrap=True, markup=False)
    return run, run.runtime or waited


@contextlib.contextmanager
def explain_interruption(console: Console, what_next: str = "", again: str = "") -> Iterator[None]:
    """Say after Ctrl+C what became of the trainings, and what can be done.

    Args:
        console: Where to say it.
        what_next: A sentence.
        again: The command that continues.
    """
    try:
        yield
    except KeyboardInterrupt:
        print_prose(console, f"\nInterrupted; its trainings were ended. {what_next}".rstrip())
        if again:
            console.print(f"Resume with: {again}", soft_wrap=True, markup=False, highlight=False)
        raise


def resume(
    name: str,
    /,
    *,
    flags: SweepFlags = NO_FLAGS,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Resume a sweep that ended before its budget was used.

    Args:
        name: The sweep's name, its folder or its state.json.
        flags: What to change: workers and where it runs, never what the sweep is.
        as_json: End the output with the result as one JSON object.
    """
    return run_sweep(collect(None, flags, name), Console(stderr=as_json), as_json)


def collect(config_id: str | None, flags: SweepFlags, resume: str | None = None) -> "GatheredParameters":
    """Gather a sweep's parameters: what was asked for, or what the resumed sweep began with."""
    from multistage.request.given_flags import gather_flags

    return gather_flags({"config_id": config_id, **flags.list_given(("budget",) if resume else ())}, Path.cwd(), resume)


def resolve(gathered: "GatheredParameters", account: "Account | None" = None) -> "ResolvedSweep":
    """Check what was asked for, and fill in every default."""
    environment = dict(os.environ)
    from multistage.request.resolved_sweep import resolve_sweep

    return resolve_sweep(gathered, Path.cwd(), environment, account)


def run_sweep(gathered: "GatheredParameters", console: Console, as_json: bool, account: "Account | None" = None) -> int:
    """Run a sweep from its parameters, in front of its user.

    Args:
        gathered: The parameters of its flow, and what says which flow that is.
        console: Where to show it.
        as_json: Whether to end the output with the result as one JSON object.
        account: The server, where it was asked already.

    Returns:
        The exit code.
    """
    from multistage.cli.live_view import LiveView
    from multistage.cli.terminal_warnings import show_advice, show_warnings
    from multistage.driver.launching import describe_workers_left
    from multistage.installation import check_installation
    from multistage.report.banner import format_banner
    from multistage.request.forecast import warn_of
    from multistage.request.preparation import check_folder
    from multistage.request.resume_line import write_name, write_resume
    from multistage.services import ensure_prefect_server

    check_installation()
    sweep = resolve(gathered, account)
    check_folder(sweep.folder, sweep.plan, sweep.resume)
    print_prose(console, sweep.account.reason)
    for note in sweep.notes:
        print_prose(console, f"Warning: {note}", "yellow")
    if not sweep.resume:
        show_advice(console, warn_of(sweep.plan, sweep.options, notes=sweep.warnings))
    console.print(f"Sweep folder: {sweep.folder.path}", highlight=False, soft_wrap=True, markup=False)
    if sweep.account.kind == "embedded" and (note := renew_server(Settings())):
        print_prose(console, note)
    if note := renew_prefect_server(Settings()):
        print_prose(console, note)
    server = ensure_prefect_server(Settings())
    asks = " (`multistage-sweep status` shows its password)" if server.secret else ""
    print_prose(console, f"Prefect UI: {server.ui_url}{asks} {server.note}".rstrip())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with LiveView(sweep.folder, console), show_warnings(console):
            state = _run_flow(sweep, server)
    except KeyboardInterrupt:
        print_prose(console, f"\nInterrupted; {describe_workers_left(sweep.options)}.")
        console.print(f"Resume with: {write_resume(sweep.folder)}", soft_wrap=True, markup=False, highlight=False)
        return INTERRUPTED
    except Exception as error:
        if is_server_gone(error):
            raise ServiceError(
                f"The Prefect server {server.ui_url} stopped answering. Workers finish what is queued.",
                f"Resume with: {write_resume(sweep.folder)}",
            ) from error
        if sweep.folder.state_file.is_file():
            go_on = f"The sweep has stopped. Resume with: {write_resume(sweep.folder)}"
            console.print(go_on, soft_wrap=True, markup=False)
        raise
    banner = format_banner(state, sweep.folder.state_file, write_name(sweep.folder))
    console.print(banner, highlight=False, soft_wrap=True, markup=False)
    if (sweep.folder.path / "report.html").is_file():
        console.print(f"Report: {sweep.folder.path / 'report.html'}", highlight=False, soft_wrap=True, markup=False)
    print_page(console, state.uid)
    print_prose(console, "The two local services stay up for the pages; `multistage-sweep down` stops them.")
    if as_json:
        print(json.dumps(state.model_dump(mode="json", exclude={"settings", "request", "options", "plan", "workers"})))
    return 0


def _run_flow(sweep: "ResolvedSweep", server: "PrefectServer") -> Any:
    from multistage.request.resolved_sweep import hand_over
    from multistage.services import enter_prefect_server

    enter_prefect_server(server, Settings(), os.environ)
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    flow = _load_flow(single=sweep.request.single)
    from prefect.exceptions import CancelledRun

    from multistage.services import watch_prefect_server
    from multistage.services.registration import register_with_prefect

    if server.started:
        register_with_prefect(server)
    given = {**sweep.parameters, "count": sweep.request.budget, "tracker": sweep.account.kind}
    taken = {name: given[name] for name in signature(flow.fn).parameters if given.get(name) is not None}
    watch = watch_prefect_server(Settings()) if server.pid is not None else contextlib.nullcontext()
    with watch, hand_over(sweep):
        try:
            return flow(**taken)
        except CancelledRun as error:
            raise KeyboardInterrupt from error


def is_server_gone(error: BaseException | None) -> bool:
    """Return whether an error comes from a Prefect server that could not be reached."""
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
