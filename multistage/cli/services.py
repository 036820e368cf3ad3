"""The commands that start and stop the local services."""

from typing import Annotated

from cyclopts import Parameter

from multistage.errors import UsageError


def up(*, worker: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Start the local services, the embedded W&B server and a Prefect server, where they do not run yet.

    Args:
        worker: Start a Prefect worker too, which runs the deployments of prefect.yaml.
    """
    from multistage.services import ensure_prefect_server, ensure_prefect_worker, ensure_wandb_server
    from multistage.services.registration import register_with_prefect
    from multistage.settings import Settings

    settings = Settings()
    wandb_server = ensure_wandb_server(settings)
    prefect_server = ensure_prefect_server(settings)
    register_with_prefect(prefect_server.api_url)
    print(f"Prefect UI: {prefect_server.ui_url} {prefect_server.note}".rstrip())
    print(f"W&B pages: {wandb_server.url} {wandb_server.note}".rstrip())
    print(f"To log a browser in, within the hour: {wandb_server.make_login_link()}")
    if worker:
        print(f"Prefect worker: pool {ensure_prefect_worker(settings, prefect_server.api_url).pool}")
    print("\nFor a wandb client:")
    print(f"export WANDB_BASE_URL={wandb_server.url}")
    print(f"export WANDB_API_KEY={wandb_server.key}")
    return 0


def down(*, force: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Stop the local services; their data stays.

    Args:
        force: Also while a sweep is live: its workers and trainings are ended, and a resume goes on with it.
    """
    from multistage.orchestrator.live_sweeps import end_sweep, list_live_sweeps
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
