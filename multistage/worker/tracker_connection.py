"""A worker's connection to the tracker."""

import os

import wandb
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from multistage.domain.workers.variables import is_loopback
from multistage.worker.conventions import NEAR_VARIABLE


def is_refused(error: Exception) -> bool:
    """Whether the server answered that the key or the sweep is wrong, so that asking again is of no use."""
    causes = [error, error.__cause__]
    statuses = {
        cause.response.http_status for cause in causes if isinstance(cause, WandbApiFailedError) and cause.response
    }
    # wandb makes a plain sentence of a sweep that does not exist.
    return bool(statuses & {401, 403}) or str(error).endswith("not found")


def is_near(url: str) -> bool:
    """Whether a server has this sweep's workers to itself, and answers at once: here, or in the same network."""
    return is_loopback(url) or bool(os.environ.get(NEAR_VARIABLE))


def connect() -> wandb.Api:
    """Start wandb-core in this process and log in.

    Raises:
        wandb.Error: The server cannot be reached or refuses the key.
    """
    # One retry: this process asks again by itself, and must notice the end of a training meanwhile.
    quick = wandb.Settings(
        silent=True, x_graphql_retry_max=1, x_graphql_retry_wait_min_seconds=0.1, x_graphql_retry_wait_max_seconds=1.0
    )
    wandb.setup(quick)
    return wandb.Api()
