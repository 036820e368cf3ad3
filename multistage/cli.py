"""The command line. Heavy packages are imported by the commands that need them, so that ``--help`` is quick."""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from multistage.errors import MultistageError, UsageError

if TYPE_CHECKING:
    from multistage.domain.account import Account
    from multistage.preparation import AskedSweep
    from multistage.request import ResolvedRequest

INTERRUPTED = 130

app = App(
    name="multistage-sweep",
    help="Find good hyperparameters in three narrowing stages of real training runs.",
    version=version("multistage-sweep"),
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SweepFlags:
    """The flags of a sweep. One that is not given leaves the default, or on a resume what the sweep began with."""

    params: str | None = None
    """Swept hyperparameters, such as policy_lr,clip_range:0.1-0.3: name, name:min-max, name:log:min-max,
    name:int:min-max, name:[a|b|c]."""
    budget: int | None = None
    """Training runs in all. [default: 500]"""
    metric: str | None = None
    """Logged key to optimize. [default: the trainer's own, else train/roll/ep_rew/mean]"""
    goal: Literal["maximize", "minimize"] | None = None
    """Which way is better. [default: the trainer's own, else maximize]"""
    metric_value: str | None = None
    """A run's value: last, best or mean:N of the logged ones. [default: last]"""
    entity: str | None = None
    """W&B user or team. [default: WANDB_ENTITY, else local]"""
    project: str | None = None
    """W&B project. [default: WANDB_PROJECT, else the config id up to its colon]"""
    name: str | None = None
    """The sweep's name and folder. [default: multistage_sweep_ and the config id]"""
    workers: int | None = None
    """Trainings at once. [default: the cores, on Modal 8]"""
    launcher: Literal["local", "modal"] | None = None
    """Where trainings run. [default: local]"""
    runs_per_worker: int | None = None
    """On Modal, runs that one container trains. [default: as many as there are]"""
    max_cost: float | None = None
    """On Modal, dollars that are never passed; the sweep ends early instead."""
    modal_cpu: float | None = None
    """Cores of a container. [default: 2]"""
    modal_memory: float | None = None
    """GiB of a container. [default: 4]"""
    modal_gpu: str | None = None
    """GPU of a container, such as T4 or H100:2."""
    modal_timeout: int | None = None
    """Seconds that a container may live; a run must fit into them. [default: 3600]"""
    modal_region: str | None = None
    """Where containers run, such as us-east. [default: anywhere, which costs least]"""
    modal_max_containers: int | None = None
    """Containers at once, whatever --workers says."""
    project_dir: Path | None = None
    """On Modal, your project: its requirements are installed and its files are there. Needed for a --program."""
    image_python: str | None = None
    """On Modal, the containers' Python, such as 3.12. [default: this one]"""
    tracker: Literal["auto", "embedded", "wandb"] | None = None
    """The W&B server; auto takes W&B where the client is logged in, else the embedded one. [default: auto]"""
    search: Literal["auto", "gp", "wandb"] | None = None
    """Who proposes: this project's Gaussian process or W&B's own engine; auto takes the first where it can be.
    [default: auto]"""
    early_stop: Literal["auto", "hyperband", "none"] | None = None
    """Whether poor runs of stages 2 and 3 are stopped; auto does with --search wandb. [default: auto]"""
    program: str | None = None
    """Your own training script, run as W&B's agent would; the config id is then a label."""
    command: str | None = None
    """Another command than W&B's '${env} ${interpreter} ${program} ${args}'; ${config_id} is replaced too."""
    split: str | None = None
    """Percent of the budget a stage. [default: 30/50/20]"""
    stage1: Literal["auto", "grid", "sobol"] | None = None
    """How stage 1 explores; auto takes the grid where it fits, filled up with Sobol points. [default: auto]"""
    grid_resolution: int | None = None
    """Values a parameter on the grid. [default: 5]"""
    finalists: str | None = None
    """Runs that train contenders again on fresh seeds: auto, a number or a percentage. [default: auto]"""
    seed: int | None = None
    """Makes the search and the trainings reproducible. [default: 0]"""
    train_arg: Annotated[tuple[str, ...] | None, Parameter(negative=())] = None
    """A fixed key=value of every run; may be given several times."""
    worker_idle: float | None = None
    """Seconds without work after which a worker leaves. [default: 60]"""
    stall_after: float | None = None
    """Seconds without a new row after which a run is stopped and trained again. [default: three times the longest run
    so far, at least 1800]"""
    stage_deadline: float | None = None
    """Seconds after which a stage ends with the runs that it has. [default: none]"""
    runs_dir: Path | None = None
    """Where the sweeps' folders lie. [default: runs]"""

    def list_given(self) -> dict[str, Any]:
        """Give the flags that were given, by the name of the flow's parameter."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {name: value for name, value in values.items() if value is not None}
        modal = {name[6:]: given.pop(name) for name in list(given) if name.startswith("modal_")}
        if "project_dir" in given:
            given["project_dir"] = given["project_dir"].absolute()
        return {**given, "modal": modal} if modal else given


NO_FLAGS = SweepFlags()


@app.default
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
        config_id: What to train, such as CartPole-v1:ppo.
        flags: The sweep.
        resume: Go on with a sweep: its state.json, its folder or its name.
        as_json: End the output with the result as one JSON object; everything else goes to the standard error.
    """
    if config_id is None and resume is None:
        app.help_print([])
        return 0
    parameters = _collect_parameters(config_id, flags, resume)
    console = Console(stderr=as_json)
    return _run_sweep(parameters, console, as_json)


@app.command
def plan(config_id: str, /, *, flags: SweepFlags = NO_FLAGS) -> int:
    """Show what a sweep would run; start nothing.

    Args:
        config_id: What to train.
        flags: The sweep.
    """
    from multistage.launching import check_launching
    from multistage.preparation import check_folder
    from multistage.report.costs import draw_estimate
    from multistage.report.tables import draw_plan

    asked, resolved, account = _resolve(_collect_parameters(config_id, flags, None))
    rates = check_launching(resolved.plan, asked.options, account)
    console = Console()
    console.print(account.reason, highlight=False, soft_wrap=True, markup=False)
    console.print(draw_plan(resolved.plan, asked.options, asked.folder_path))
    if rates is not None:
        console.print(draw_estimate(resolved.plan, asked.options, rates))
    for warning in resolved.warnings:
        console.print(f"Warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    check_folder(asked.folder, resolved, resume=False)
    return 0


@app.command
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
    return _run_sweep(_collect_parameters(None, flags, name), Console(stderr=as_json), as_json)


@app.command
def status(
    name: str | None = None,
    /,
    *,
    runs_dir: Path = Path("runs"),
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Show where a sweep stands, or list all sweeps.

    Args:
        name: The sweep's name, its folder or its state.json.
        runs_dir: Where the sweeps' folders lie.
        as_json: Print its state.json instead.
    """
    from multistage.report.tables import draw_state, draw_sweeps
    from multistage.sweep_folder import find_folder, list_folders

    console = Console()
    if name is None:
        console.print(draw_sweeps([(folder, folder.load_state()) for folder in list_folders(runs_dir)], runs_dir))
        return 0
    folder = find_folder(name, runs_dir)
    state = folder.load_state()
    if as_json:
        print(state.model_dump_json(indent=2))
    else:
        console.print(draw_state(state, folder.state_file, folder.find_driver()))
    return 0


@app.command
def report(name: str, /, *, runs_dir: Path = Path("runs")) -> int:
    """Write a sweep's report.html: one page with all plots, which needs no network.

    Args:
        name: The sweep's name, its folder or its state.json.
        runs_dir: Where the sweeps' folders lie.
    """
    from multistage.session import close_session, open_session
    from multistage.sweep_folder import find_folder

    folder = find_folder(name, runs_dir)
    try:
        print(open_session(folder.path).write_report())
    finally:
        close_session(folder.path)
    return 0


@app.command
def best(name: str, /, *, format: Literal["json", "yaml", "args"] = "json", runs_dir: Path = Path("runs")) -> int:
    """Print the config that a sweep recommends, and nothing else.

    Args:
        name: The sweep's name, its folder or its state.json.
        format: json, yaml, or args for a command line.
        runs_dir: Where the sweeps' folders lie.
    """
    from multistage.report.tables import format_best
    from multistage.sweep_folder import find_folder

    print(format_best(find_folder(name, runs_dir).load_state(), format))
    return 0


@app.command
def up(*, worker: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Start the local services, the embedded W&B server and a Prefect server, where they do not run yet.

    Args:
        worker: Start a Prefect worker too, which runs the deployments of prefect.yaml.
    """
    from multistage.services import ensure_prefect_server, ensure_prefect_worker, ensure_wandb_server
    from multistage.settings import Settings

    settings = Settings()
    wandb_server = ensure_wandb_server(settings)
    prefect_server = ensure_prefect_server(settings)
    print(f"Prefect UI: {prefect_server.ui_url} {prefect_server.note}".rstrip())
    print(f"W&B pages: {wandb_server.url} {wandb_server.note}".rstrip())
    if worker:
        print(f"Prefect worker: pool {ensure_prefect_worker(settings, prefect_server.api_url).pool}")
    print("\nFor a wandb client:")
    print(f"export WANDB_BASE_URL={wandb_server.url}")
    print(f"export WANDB_API_KEY={wandb_server.key}")
    return 0


@app.command
def down(*, force: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Stop the local services; their data stays.

    Args:
        force: Also while a sweep is live: its workers and trainings are ended, and a resume goes on with it.
    """
    from multistage.live_sweeps import end_sweep, list_live_sweeps
    from multistage.services import stop_services
    from multistage.settings import Settings

    settings = Settings()
    for live in list_live_sweeps(settings):
        if not force:
            raise UsageError(
                f"The sweep in {live.folder} is live.",
                "Wait for it, end it with Ctrl+C, or end it with `down --force`.",
            )
        end_sweep(live)
        print(f"Ended the sweep in {live.folder}.")
    for stopped in stop_services(settings):
        print(f"Stopped {stopped}.")
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 misused, 130 interrupted."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        code = _complain(str(error), "See multistage-sweep --help.", UsageError.exit_code)
    except MultistageError as error:
        code = _complain(error.message, error.hint, error.exit_code)
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, hint: str, code: int) -> int:
    print(f"multistage-sweep: {message} {hint}".rstrip(), file=sys.stderr)
    return code


def _collect_parameters(config_id: str | None, flags: SweepFlags, resume: str | None) -> dict[str, Any]:
    """Give the parent flow's parameters: what was asked for, or what the resumed sweep began with."""
    given = flags.list_given()
    if resume is None:
        if not flags.params:
            raise UsageError("No --params were given.", "Name hyperparameters to sweep: --params policy_lr,clip_range.")
        _refuse_modal_flags(given, given.get("launcher", "local"))
        return {"config_id": config_id, **given, "runs_dir": (flags.runs_dir or Path("runs")).absolute()}
    from multistage.sweep_folder import find_folder

    folder = find_folder(resume, flags.runs_dir or Path("runs"))
    state = folder.load_state()
    if config_id not in (None, state.config_id):
        raise UsageError(
            f"{folder.path} holds a sweep of {state.config_id}, not of {config_id}.", "Leave CONFIG_ID out."
        )
    began = state.request.model_dump()
    options = state.options.model_dump(exclude={"directory"})
    given["modal"] = {**options["modal"], **given.get("modal", {})}
    _refuse_modal_flags(flags.list_given(), given.get("launcher", options["launcher"]))
    place = {"name": folder.name, "runs_dir": folder.path.parent, "resume": True}
    return {**began, **options, **given, **place}


def _refuse_modal_flags(given: Mapping[str, Any], launcher: str) -> None:
    lost = sorted(set(given) & {"runs_per_worker", "max_cost", "modal", "project_dir", "image_python"})
    if launcher == "local" and lost:
        flag = f"modal-{next(iter(given['modal']))}" if lost[0] == "modal" else lost[0]
        raise UsageError(f"--{flag.replace('_', '-')} has no meaning on this machine.", "Add --launcher modal.")


def _resolve(parameters: Mapping[str, Any]) -> "tuple[AskedSweep, ResolvedRequest, Account]":
    """Check what was asked for, before anything is asked of a server, and then for the server that was chosen."""
    from multistage.preparation import read_parameters
    from multistage.request import resolve_request

    asked = read_parameters(parameters, Path.cwd())
    resolve_request(asked.request, asked.options.directory)

    from multistage.wandb_client.login import open_account

    account = open_account(asked.request.tracker, asked.request.entity)
    return asked, resolve_request(asked.request, asked.options.directory, account), account


def _run_sweep(parameters: Mapping[str, Any], console: Console, as_json: bool) -> int:
    from multistage.launching import check_launching
    from multistage.live_view import LiveView
    from multistage.preparation import check_folder
    from multistage.report.banner import format_banner
    from multistage.services import ensure_prefect_server
    from multistage.settings import Settings

    asked, resolved, account = _resolve(parameters)
    check_folder(asked.folder, resolved, asked.resume)
    check_launching(resolved.plan, asked.options, account)
    console.print(account.reason, highlight=False, soft_wrap=True, markup=False)
    for warning in resolved.warnings:
        console.print(f"Warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    console.print(f"Sweep folder: {asked.folder.path}", highlight=False, soft_wrap=True, markup=False)
    server = ensure_prefect_server(Settings())
    console.print(f"Prefect UI: {server.ui_url} {server.note}".rstrip(), highlight=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with LiveView(asked.folder, console):
            state = _run_flow({**parameters, "tracker": account.kind}, server.api_url)
    except KeyboardInterrupt:
        command = f"multistage-sweep --resume {asked.folder.state_file}"
        console.print(
            f"\nInterrupted; workers and trainings were ended. Go on with: {command}",
            soft_wrap=True,
            markup=False,
        )
        return INTERRUPTED
    console.print(format_banner(state, asked.folder.state_file), highlight=False, soft_wrap=True, markup=False)
    if (asked.folder.path / "report.html").is_file():
        console.print(f"Report: {asked.folder.path / 'report.html'}", highlight=False, soft_wrap=True, markup=False)
    console.print("The two local services stay up for the pages; `multistage-sweep down` stops them.", soft_wrap=True)
    if as_json:
        print(json.dumps(state.model_dump(mode="json", exclude={"settings", "request", "options", "plan", "workers"})))
    return 0


def _run_flow(parameters: Mapping[str, Any], prefect_url: str) -> Any:
    os.environ["PREFECT_API_URL"] = prefect_url
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    try:
        from flows.multistage_sweep import multistage_sweep
    except ModuleNotFoundError as error:
        if error.name not in ("flows", "tasks", "flows.multistage_sweep"):
            raise
        raise UsageError(
            "The flows are not installed beside the library.",
            "Run this from a checkout that was installed with pip install -e .",
        ) from error
    return multistage_sweep(**parameters)
