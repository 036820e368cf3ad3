"""The command that makes, lists and removes deployments."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from multistage.cli.flags import NO_FLAGS, SweepFlags
from multistage.cli.services import EVALUATED, renew_prefect_server
from multistage.cli.sweeping import resolve
from multistage.errors import UsageError
from multistage.settings import Settings

if TYPE_CHECKING:
    from multistage.services import PrefectServer
    from multistage.services.deployments import Deployment


def deploy(
    config_id: str | None = None,
    /,
    *,
    flags: SweepFlags = NO_FLAGS,
    called: Annotated[str | None, Parameter(name="--as")] = None,
    cron: str | None = None,
    timezone: str = "UTC",
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
    remove: str | None = None,
) -> int:
    """Make this folder a Prefect deployment, to be run from the Prefect UI, from a shell or by a schedule.

    What is given stands for every run; the rest comes from multistage.toml or is asked for. Made again, it is replaced.

    Args:
        config_id: What to train; without it each run says it.
        flags: The sweep.
        called: The deployment's name. [default: the folder's name]
        cron: When it runs by itself, such as '0 22 * * *'. [default: never]
        timezone: Of that schedule, such as Europe/Berlin.
        list_: Only list the deployments.
        remove: Only remove the deployment of that name, with its schedule.
    """
    from multistage.request.subject.sweep_content import take_content

    given = take_content({**flags.list_given(), **({"config_id": config_id} if config_id else {})})
    if list_ or remove is not None:
        if given or called or cron or (list_ and remove is not None):
            raise UsageError("--list and --remove take no other option.", "Leave out the rest.")
        return _show_deployments() if remove is None else _remove(remove)
    return _deploy(given, called, cron, timezone)


def _deploy(given: dict[str, Any], called: str | None, cron: str | None, timezone: str) -> int:
    """Check everything, then start what is missing, then make the deployment."""
    from multistage.services import ensure_prefect_server, ensure_prefect_worker
    from multistage.services.deployments import FLOW, Deployment, parse_schedule, save_deployment
    from multistage.services.registration import register_with_prefect

    folder = Path.cwd()
    name = called or re.sub(r"[^\w.-]+", "-", folder.name).strip("-") or "sweep"
    if not re.fullmatch(r"[\w.-]+", name):
        raise UsageError(f"{name!r} is not a valid name for a deployment.", "Use letters, digits, dots and hyphens.")
    _check_sweep(given, cron)
    schedules = (parse_schedule(cron, timezone),) if cron else ()
    pattern = str(given.get("name") or name)
    given["name"] = pattern if "{flow_run}" in pattern else f"{pattern}-{{flow_run}}"
    wanted = Deployment(name=name, folder=folder, parameters=_make_plain(given), schedules=schedules)
    form, description = _describe_flow()
    settings = Settings()
    if note := renew_prefect_server(settings):
        print(note)
    server = ensure_prefect_server(settings)
    register_with_prefect(server)
    save_deployment(server, wanted, form, description)
    worker = ensure_prefect_worker(settings, server)
    print(f"Deployment: {FLOW}/{name}, in {folder}")
    for schedule in schedules:
        print(f"Schedule: {schedule.cron}, {schedule.timezone}")
    print(f"Prefect UI: {server.ui_url} {server.note}".rstrip())
    print(f"Prefect worker: pool {worker.pool}; it stays up until `multistage-sweep down`")
    print("\nTo run it now, from the UI or:")
    print(EVALUATED if server.pid is not None else f"export PREFECT_API_URL={server.api_url}")
    print(f"{_find_prefect()} deployment run '{FLOW}/{name}'")
    return 0


def _check_sweep(given: dict[str, Any], cron: str | None) -> None:
    """Refuse a sweep that could not run, as far as it is told."""
    from multistage.installation import check_installation
    from multistage.request.given_flags import gather_flags

    check_installation()
    if given.get("config_id") is not None:
        resolve(gather_flags(given, Path.cwd()))
    elif cron:
        raise UsageError("A schedule needs a config id to train.", "Name it: deploy CONFIG_ID --cron.")


def _make_plain(given: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON has them."""
    from pydantic_core import to_jsonable_python

    plain: dict[str, Any] = to_jsonable_python(given)
    return plain


def _describe_flow() -> tuple[dict[str, Any], str]:
    """Return the schema of the flow's parameters, and what it does."""
    from prefect.utilities.callables import parameter_schema

    from multistage.pipeline.flows.multistage_sweep import multistage_sweep

    return parameter_schema(multistage_sweep).model_dump(exclude_unset=True), multistage_sweep.description or ""


def _find_prefect() -> str:
    """Return Prefect's own command: by its path, where the shell would find none, or another."""
    import shutil
    import sys

    own = Path(sys.executable).parent / "prefect"
    return "prefect" if shutil.which("prefect") == str(own) else str(own)


def _find_server() -> "PrefectServer":
    from multistage.services.prefect import check_reachable, find_prefect_server

    server = find_prefect_server(Settings())
    if server is None:
        raise UsageError("The Prefect server is not running.", "`multistage-sweep up --worker` starts it.")
    check_reachable(server.api_url)
    return server


def _show_deployments() -> int:
    from rich.console import Console

    from multistage.services.deployments import list_deployments

    found = list_deployments(_find_server())
    if not found:
        print("There are no deployments; `multistage-sweep deploy CONFIG_ID ...` makes one of this folder.")
        return 0
    console = Console()
    for one in found:
        console.print(f"{one.name}: {_describe(one)}", highlight=False, soft_wrap=True, markup=False)
    return 0


def _describe(one: "Deployment") -> str:
    trains = one.parameters.get("config_id") or "what each run says"
    told = [f"trains {trains} in {one.folder}" if one.folder else f"trains {trains}"]
    told += [f"{each.cron} {each.timezone}" + ("" if each.active else " (off)") for each in one.schedules]
    if fault := one.find_fault():
        told.append(f"{fault}, so deploy it again")
    return "; ".join(told)


def _remove(name: str) -> int:
    from multistage.services.deployments import FLOW, remove_deployment

    remove_deployment(_find_server(), name)
    print(f"Removed {FLOW}/{name.removeprefix(f'{FLOW}/')}; its sweeps stay.")
    return 0
