"""The local services: the embedded W&B server, a Prefect server and, where asked for, a Prefect worker; one a user.

They are started detached, so that they outlive whoever started them, and are reused by everyone after::

    server = ensure_wandb_server(settings)
    server.url, server.key

Each has a folder with its database, its log and a record of its process. `registration` and `prefect_client` alone
import Prefect.
"""

from multistage.domain.model import Model
from multistage.errors import MultistageError, ServiceError
from multistage.services.embedded import (
    WandbServer,
    build_wandb_service,
    ensure_wandb_server,
    find_wandb_server,
    renew_wandb_server,
)
from multistage.services.hosts import forget_hosts
from multistage.services.prefect import (
    PrefectServer,
    build_prefect_service,
    ensure_prefect_server,
    enter_prefect_server,
    find_prefect_server,
)
from multistage.services.prefect_worker import PrefectWorker, build_worker_service, ensure_prefect_worker
from multistage.services.renewal import renew_prefect
from multistage.services.watch import ServiceWatch
from multistage.settings import Settings

__all__ = [
    "PrefectServer",
    "PrefectWorker",
    "ServicesStatus",
    "WandbServer",
    "ensure_prefect_server",
    "ensure_prefect_worker",
    "ensure_wandb_server",
    "enter_prefect_server",
    "inspect_services",
    "renew_prefect",
    "renew_wandb_server",
    "stop_services",
    "watch_prefect_server",
]


class ServicesStatus(Model):
    """Which services run; None stands for one that does not."""

    wandb: WandbServer | None
    prefect: PrefectServer | None


def inspect_services(settings: Settings) -> ServicesStatus:
    """Look at the services without starting any.

    A configured Prefect server is reported as it is configured.
    """
    return ServicesStatus(wandb=find_wandb_server(settings), prefect=find_prefect_server(settings))


def watch_prefect_server(settings: Settings) -> ServiceWatch:
    """Keep the user's own Prefect server alive while a context lasts."""
    return ServiceWatch(build_prefect_service(settings))


def stop_services(settings: Settings) -> tuple[str, ...]:
    """End the services that this project started, with every process below them.

    Whether a sweep still needs them is for the caller to know. Databases, key and logs stay.

    Returns:
        The names of those that ran.

    Raises:
        ServiceError: If a process survives even SIGKILL, or a service runs on another machine; the others are ended all
            the same.
    """
    stopped, failures = [], list[MultistageError]()
    for service in (build_worker_service(settings), build_wandb_service(settings), build_prefect_service(settings)):
        try:
            if service.stop():
                stopped.append(service.name)
        except ServiceError as error:
            failures.append(error)
        else:
            if service.folder == settings.wandb_server_folder:
                forget_hosts(service.folder)
    if failures:
        raise failures[0]
    return tuple(stopped)
