"""A connection to a W&B server, the embedded one or another."""

import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import wandb
import wandb.errors
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from multistage.domain.workers.variables import settle_variables
from multistage.errors import TrackerError

_P = ParamSpec("_P")
_T = TypeVar("_T")

REQUEST_TIMEOUT = 20
"""Seconds that one request may take before the server counts as unreachable."""

QUIET = {"WANDB_SILENT": "true", "WANDB_CONSOLE": "off", "WANDB_ERROR_REPORTING": "false"}
"""Keeps the client from the terminal, which is the live view's."""


class Connection:
    """What is needed to talk to one project of a W&B server.

    The client reads its server and key from the environment, so this sets both there for the whole process, and takes
    out what would lead it astray; the key is kept nowhere else.

    Args:
        base_url: The server, such as ``http://127.0.0.1:8080``.
        api_key: Its key.
        entity: User or team.
        project: Project; created by the server with its first sweep.
    """

    def __init__(self, base_url: str, api_key: str, entity: str, project: str) -> None:
        self.base_url = base_url
        self.entity = entity
        self.project = project
        settle_variables(os.environ, base_url)
        os.environ.update(QUIET, WANDB_BASE_URL=base_url, WANDB_API_KEY=api_key)
        self._api: wandb.Api | None = None

    @property
    def path(self) -> str:
        """``entity/project``, as the client takes it."""
        return f"{self.entity}/{self.project}"

    @property
    def api(self) -> wandb.Api:
        """The client's public API, without its caches."""
        if self._api is None:
            self._api = self.call(wandb.Api, overrides={"base_url": self.base_url}, timeout=REQUEST_TIMEOUT)
        self._api.flush()  # type: ignore[no-untyped-call]
        return self._api

    def call(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call the client, and give its many failures one name.

        Raises:
            TrackerError: If the server refuses the request or cannot be reached.
        """
        try:
            return function(*args, **kwargs)
        except (wandb.errors.Error, WandbApiFailedError, ConnectionError, TimeoutError) as error:
            raise TrackerError(
                f"The W&B server at {self.base_url} did not carry out a request: {write_reason(error)}.",
                "Runs that were started go on; --resume continues the sweep when the server is back.",
            ) from error


def write_reason(error: Exception) -> str:
    """Write what an error says in one line, for the end of a sentence."""
    return " ".join(str(error).split()).rstrip(".?") or type(error).__name__
