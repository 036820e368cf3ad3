"""How often a step is tried again, and after which failures."""

from typing import Any, TypedDict

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from multistage.errors import TrackerError

PATIENCE = [1.0, 5.0, 15.0, 60.0, 180.0, 600.0]
"""Seconds before each further try of a step whose W&B server was away: a quarter of an hour in all."""


def is_outage(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Distinguish a step that failed because a server was away, which passes, from one that would fail again."""
    return isinstance(state.data, TrackerError)


class _Retries(TypedDict):
    retries: int
    retry_delay_seconds: list[float]
    retry_condition_fn: Any


RETRIED = _Retries(retries=len(PATIENCE), retry_delay_seconds=PATIENCE, retry_condition_fn=is_outage)
"""Options of every task that asks the W&B server; each can be repeated whenever it broke off."""
