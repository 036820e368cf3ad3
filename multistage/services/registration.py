"""What a Prefect server is told of this project: the work pool of `prefect.yaml`, and to watch for killed flow runs."""

import contextlib
from typing import TYPE_CHECKING

from multistage.services.heartbeats import watch_heartbeats
from multistage.services.prefect import PrefectServer
from multistage.services.prefect_client import open_prefect_client
from multistage.services.prefect_worker import WORK_POOL

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


def register_with_prefect(server: PrefectServer) -> None:
    """Make the work pool where it is missing, and the automation where it is missing or another than it should be."""
    with open_prefect_client(server) as client:
        _ensure_pool(client)
        watch_heartbeats(client)


def _ensure_pool(client: "SyncPrefectClient") -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    try:
        client.read_work_pool(WORK_POOL)
    except ObjectNotFound:
        with contextlib.suppress(ObjectAlreadyExists):  # the worker makes it too
            client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"))
