"""The commands that start and stop the local services."""

import os
import shlex
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from multistage.cli.paths import TypedPath
from multistage.errors import MultistageError, ServiceError, UsageError

if TYPE_CHECKING:
    from multistage.services import PrefectServer, WandbServer
    from multistage.settings import Settings

EVALUATED = 'eval "$(multistage-sweep env)"'
"""The line that gives a shell what `env` prints."""


def up(*, worker: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Start the local services, the embedded W&B server and a Prefect server, where they do not run yet.

    Args:
        worker: Start a Prefect worker too, which runs the deployments of prefect.yaml.
    """
    from multistage.installation import check_installation
    from multistage.services import (
        ensure_prefect_server,
        ensure_prefect_worker,
        ensure_wandb_server,
        enter_prefect_server,
    )
    from multistage.settings import Settings

    check_installation()
    settings = Settings()
    for note in (renew_server(settings), renew_prefect_server(settings)):
        if note:
            print(note)
    wandb_server = ensure_wandb_server(settings)
    prefect_server = ensure_prefect_server(settings)
    enter_prefect_server(prefect_server, settings, os.environ)
    from multistage.services.registration import register_with_prefect

    register_with_prefect(prefect_server)
    print_access(prefect_server, wandb_server)
    if worker:
        print(f"Prefect worker: pool {ensure_prefect_worker(settings, prefect_server).pool}")
    if prefect_server.pid is not None:
        print(f"For Prefect's own commands in this shell: {EVALUATED}")
    if sys.stdout.isatty():
        _print_exports(wandb_server.url, wandb_server.key)
    else:
        print("Password, login link and keys are shown on a terminal only; programs have `multistage-sweep env`.")
    return 0


def print_access(prefect_server: "PrefectServer | None", wandb_server: "WandbServer | None") -> None:
    """Say where the services' pages are, and on a terminal, which keeps nothing, how to get in."""
    shown = sys.stdout.isatty()
    if prefect_server is not None:
        print(f"Prefect UI: {prefect_server.ui_url} {prefect_server.note}".rstrip())
        if shown and prefect_server.secret:
            print(f"It asks a browser once for its password: {prefect_server.secret}")
    if wandb_server is not None:
        print(f"W&B pages: {wandb_server.url} {wandb_server.note}".rstrip())
        if shown:
            print(f"To log a browser in, within the hour: {wandb_server.make_login_link()}")


def print_services(settings: "Settings") -> None:
    """Say of those that run where they are; of one that cannot be looked at, why."""
    from multistage.services import inspect_services

    try:
        services = inspect_services(settings)
    except ServiceError as error:
        print(error)
    else:
        print_access(services.prefect, services.wandb)


def env(*, wandb: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Print what Prefect's own commands need in your shell: eval "$(multistage-sweep env)".

    Args:
        wandb: What a wandb client needs for the embedded server, too; sweeps of that shell then take it for an account.
    """
    from multistage.services import inspect_services
    from multistage.settings import Settings

    services = inspect_services(Settings())
    prefect_server, wandb_server = services.prefect, services.wandb
    if prefect_server is None or (wandb and wandb_server is None):
        raise UsageError("The local services are not running.", "`multistage-sweep up` starts them.")
    variables = prefect_server.list_variables() if prefect_server.pid is not None else {}
    if wandb and wandb_server is not None:
        variables |= {"WANDB_BASE_URL": wandb_server.url, "WANDB_API_KEY": wandb_server.key}
    if not variables:
        raise UsageError(
            f"Prefect is configured for {prefect_server.api_url}, which is used as it is.",
            "Take PREFECT_API_URL out of the environment and the active Prefect profile to use the local server.",
        )
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def renew_prefect_server(settings: "Settings") -> str:
    """Start a Prefect server of an older release anew while no sweep is live; returns what the user should know."""
    from multistage.driver.live_sweeps import list_live_sweeps
    from multistage.services import renew_prefect

    return renew_prefect(settings, lambda: not list_live_sweeps(settings))


def renew_server(settings: "Settings") -> str:
    """End an embedded server of older code while no sweep is live; returns what the user should know."""
    from multistage.driver.live_sweeps import list_live_sweeps
    from multistage.services import renew_wandb_server

    return renew_wandb_server(settings, lambda: not list_live_sweeps(settings))


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    data: TypedPath | None = None,
    import_from: Annotated[TypedPath | None, Parameter(name="--import")] = None,
    export: str | None = None,
) -> int:
    """Run an embedded W&B server in the foreground until Ctrl+C: for any wandb client, without an account.

    Args:
        host: The address to listen on. Beyond this machine nothing is encrypted: use it in networks that you trust.
        port: The port; 0 takes a free one.
        data: Folder of its database, key and files; the one of the local service by default.
        import_from: Send the offline runs below this folder to the local service instead, and end.
        export: Send this run of the local service, ENTITY/PROJECT/ID, on to W&B instead, and end.
    """
    import logging

    from multistage.domain.workers.variables import is_loopback_host
    from multistage.settings import Settings
    from multistage.wandb_server import serving
    from multistage.wandb_server.lifecycle import Timing
    from multistage.wandb_server.pages.login_links import make_login_link

    if import_from is not None or export is not None:
        return _transfer_runs(import_from, export)
    if not 0 <= port < 2**16:
        raise UsageError(f"There is no port {port}.", "Choose one from 1 to 65535, or 0 for a free one.")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder = (data or Settings().wandb_server_folder).absolute()

    def announce(url: str, key: str) -> None:
        print(f"W&B pages: {url}, data in {folder}")
        print(f"To log a browser in, within the hour: {make_login_link(url, key)}")
        if not is_loopback_host(host):
            print(
                f"Warning: it listens on {host}, beyond this machine. Whoever has the key may read and change all of "
                f"it, and nothing is encrypted. Elsewhere it is http://{socket.gethostname()}:{url.rpartition(':')[2]}."
            )
        _print_exports(url, key)
        print("Ctrl+C ends it; the data stays.", flush=True)

    serving.serve(folder, [host], port, Timing(), announce)
    return 0


def _transfer_runs(folder: Path | None, run: str | None) -> int:
    from multistage.services import ensure_wandb_server
    from multistage.services.run_transfer import export_run, import_runs
    from multistage.settings import Settings

    server = ensure_wandb_server(Settings())
    if folder is not None:
        sent = import_runs(folder, server)
        for one in sent:
            print(f"Sent {one}")
        print(f"{len(sent)} {'run' if len(sent) == 1 else 'runs'} sent to {server.url}.")
    if run is not None:
        print(f"Sent to {export_run(run, server)}")
    return 0


def _print_exports(url: str, key: str) -> None:
    print("\nFor a wandb client:")
    print(f"export WANDB_BASE_URL={url}")
    print(f"export WANDB_API_KEY={key}")


def down(*, force: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Stop the local services; their data stays.

    Args:
        force: Also while a sweep is live: its workers and trainings are ended, and a resume goes on with it. One that
            is damaged, moved or gone keeps no other from being ended.
    """
    from multistage.driver.live_sweeps import end_sweep, list_live_sweeps
    from multistage.services import stop_services
    from multistage.settings import Settings

    settings = Settings()
    code = 0
    for live in list_live_sweeps(settings):
        if not force:
            where = f" on {live.host}" if live.host else ""
            raise UsageError(
                f"The sweep in {live.folder} is live{where}.",
                f"Wait for it, end it with Ctrl+C, or end it with `down --force`{where and ' there'}.",
            )
        try:
            end_sweep(live)
            print(f"Ended the sweep in {live.folder}.")
            if live.trouble:
                print(f"Its state could not be noted: {live.trouble}")
        except MultistageError as error:
            print(f"multistage-sweep: {error.message} {error.hint}".rstrip(), file=sys.stderr)
            code = 1
    for stopped in stop_services(settings):
        print(f"Stopped {stopped}.")
    return code
