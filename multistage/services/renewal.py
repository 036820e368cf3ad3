"""Starts anew what an older release started: a Prefect server that lets everyone in, a worker that knows no secret."""

from collections.abc import Callable

from multistage.services.local_service import ServiceRecord
from multistage.services.prefect import (
    build_prefect_service,
    find_own_prefect_server,
    lets_everyone_in,
    name_api,
)
from multistage.services.prefect_secret import read_secret
from multistage.services.prefect_worker import build_worker_service, lacks_secret
from multistage.settings import Settings


def renew_prefect(settings: Settings, is_idle: Callable[[], bool]) -> str:
    """Restart the user's own Prefect server with a secret where an older release started it without, on its port.

    A configured server is left alone.

    Args:
        settings: Where the services' folders are.
        is_idle: Whether no sweep is live; asked only where there is something to do.

    Returns:
        What the user should know; empty where there was nothing to do.

    Raises:
        ServiceError: If the server or its worker does not end, or does not start.
    """
    service = build_prefect_service(settings)
    record = service.read_record()
    if record is None:
        return ""
    url = name_api(record.port)
    running = service.find()
    is_open = running is not None and lets_everyone_in(url)
    worker = _find_outdated_worker(settings, url)
    if not is_open and worker is None:
        return ""
    ui_url = url.removesuffix("/api")
    if not is_idle():
        return (
            f"The Prefect server at {ui_url} was started by an older release, and is open to everyone on this machine. "
            "It is restarted by the next sweep, or by `multistage-sweep up`, once no sweep is live."
        )
    if running is not None and is_open:
        service.replace(running)
    else:
        service.ensure()
    if worker is not None:
        build_worker_service(settings, find_own_prefect_server(settings)).replace(worker)
    return f"The Prefect server at {ui_url} was started by an older release, and was restarted, with a password."


def _find_outdated_worker(settings: Settings, api_url: str) -> ServiceRecord | None:
    worker = build_worker_service(settings).find()
    return worker if worker and lacks_secret(worker, api_url, read_secret(settings)) else None
