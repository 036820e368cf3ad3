"""Prefect's client for a server, whatever this process's settings name."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from multistage.errors import ServiceError
from multistage.services.prefect import PrefectServer
from multistage.services.prefect_secret import read_secret
from multistage.settings import Settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


@contextmanager
def use_prefect_server(server: PrefectServer) -> Iterator[None]:
    """Have Prefect in this process use a server.

    A configured one is shown what is configured for it, never the secret of the user's own.
    """
    # Prefect takes seconds to import, and its services are started without it.
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    secret = server.secret or PREFECT_API_AUTH_STRING.value()
    if server.secret is None and secret == read_secret(Settings()):
        secret = None
    with temporary_settings({PREFECT_API_URL: server.api_url, PREFECT_API_AUTH_STRING: secret}):
        yield


@contextmanager
def open_prefect_client(server: PrefectServer) -> Iterator["SyncPrefectClient"]:
    """Open a client of a server, in a process that uses it meanwhile.

    Raises:
        ServiceError: If the server refuses a request, or does not answer it.
    """
    import httpx
    from prefect.client.orchestration import get_client

    with use_prefect_server(server), get_client(sync_client=True) as client:
        try:
            yield client
        except httpx.HTTPStatusError as error:
            raise _explain_refusal(server, error.response.status_code, error.request.url.path) from error
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise ServiceError(f"The Prefect server {server.api_url} does not answer: {reason}.") from error


def _explain_refusal(server: PrefectServer, status: int, path: str) -> ServiceError:
    if status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ServiceError(f"The Prefect server {server.api_url} answered {status} to {path}.")
    return ServiceError(
        f"The Prefect server {server.api_url} refuses requests without its key ({status}).",
        "`multistage-sweep down`, then `multistage-sweep up`, makes a new one."
        if server.secret
        else "Set PREFECT_API_KEY for Prefect Cloud, or PREFECT_API_AUTH_STRING for a server with a password.",
    )
