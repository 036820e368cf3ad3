"""Whether a sweep will ever hand out another run, so that nobody waits and pays for nothing."""

import logging
import os
import time

import wandb
from wandb.apis.public.sweeps import _sweep_with_runs
from wandb.errors import CommError
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from multistage.domain.sweep.sweep_config import count_planned, parse_config

ASK_EVERY = 5.0
"""Seconds between two questions of a worker that has nothing to do."""

logger = logging.getLogger(__name__)


class Supply:
    """What a sweep has left for its workers, by the plan in its config and the runs that it has handed out.

    A run that the machine loses is queued again after that; whoever queues it sees to a worker for it.

    Args:
        sweep_id: The bare id; entity and project come from the environment.
    """

    def __init__(self, sweep_id: str) -> None:
        self._sweep_id = sweep_id
        self._asked_at = float("-inf")

    def is_used_up(self, api: wandb.Api) -> bool:
        """Return whether all planned runs were handed out; False where the sweep has no plan, or nobody answers.

        To be asked by a worker that got no run; the server is asked every `ASK_EVERY` seconds at most.
        """
        if time.monotonic() - self._asked_at < ASK_EVERY:
            return False
        self._asked_at = time.monotonic()
        entity, project = os.environ["WANDB_ENTITY"], os.environ["WANDB_PROJECT"]
        try:
            sweep = _sweep_with_runs(api, self._sweep_id, "{}", entity=entity, project=project)
            planned = count_planned(parse_config(sweep["config"]))
            if planned is None:
                return False
            api.flush()  # type: ignore[no-untyped-call]  # the client remembers what it has listed
            handed_out = {"sweep": self._sweep_id, "state": {"$nin": ["pending", "preempted"]}}
            return len(api.runs(f"{entity}/{project}", filters=handed_out, per_page=1)) >= planned
        except (CommError, WandbApiFailedError, ValueError, TimeoutError) as error:
            logger.debug("The sweep's runs cannot be counted: %s", error)
            return False
