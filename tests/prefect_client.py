"""Prefect's own client, as a shell has it after ``eval "$(multistage-sweep env)"``."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from multistage.services import PrefectServer


@contextmanager
def using(server: PrefectServer) -> Iterator[None]:
    """Have Prefect in this process use a server."""
    with temporary_settings({PREFECT_API_URL: server.api_url, PREFECT_API_AUTH_STRING: server.secret}):
        yield


@contextmanager
def open_client(server: PrefectServer) -> Iterator[SyncPrefectClient]:
    """Give a client of a server, in a process that uses it."""
    with using(server), get_client(sync_client=True) as client:
        yield client
