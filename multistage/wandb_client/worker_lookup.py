"""Which worker trained which run, as the server knows it: each worker is an agent of the sweep."""

from collections.abc import Mapping

from wandb.apis.public.sweeps import Sweep

from multistage.domain.workers.worker_records import read_worker_id
from multistage.wandb_client.connection import Connection

PAGE = 200
"""Runs a request."""


def read_workers(connection: Connection, sweep_id: str) -> Mapping[str, str]:
    """Read the worker of each run that a sweep has handed out: a request, and another for each worker.

    Nothing that a script can change is asked: no tag, no config.

    Args:
        connection: Where the sweep is.
        sweep_id: The sweep.

    Returns:
        Workers' ids by runs' ids; agents that are no workers of this project are left out.

    Raises:
        TrackerError: If the server cannot be reached.
    """

    def look() -> dict[str, str]:
        found: dict[str, str] = {}
        sweep: Sweep = connection.api.sweep(f"{connection.path}/{sweep_id}")  # type: ignore[no-untyped-call]
        for agent in sweep.agents():
            worker = read_worker_id(str(agent.host or ""))
            if worker is not None:
                found |= {run.id: worker for run in agent.runs(per_page=PAGE)}
        return found

    return connection.call(look)
