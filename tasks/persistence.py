"""How the steps' results are kept, so that a resume finds a finished step done; and which failures are tried again."""

from typing import Any, TypedDict

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext

from multistage.domain.plan import StageBrief
from multistage.errors import TrackerError
from multistage.pipeline.tasks.persisted_results import ResultSerializer

PATIENCE = [1.0, 5.0, 15.0, 60.0, 180.0, 600.0]
"""Seconds before each further try of a step whose W&B server was away: a quarter of an hour in all."""


def key_by_stage(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Key a step's result by its stage, its name and what the sweep is; the sweep's folder is the storage.

    No run id and no source code are in it: a resumed sweep is another flow run, and may be another release.
    """
    brief: StageBrief = parameters["brief"]
    return f"stage{brief.stage.stage}-{context.task.name}-{brief.key}"


def is_outage(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Tell a step that a server's absence made fail, which time mends, from one that would fail again."""
    return isinstance(state.data, TrackerError)


class _Persistence(TypedDict):
    persist_result: bool
    result_serializer: ResultSerializer
    cache_key_fn: Any


PERSISTED = _Persistence(persist_result=True, result_serializer=ResultSerializer(), cache_key_fn=key_by_stage)
"""Options of every task that a resume must not repeat."""


class _Retries(TypedDict):
    retries: int
    retry_delay_seconds: list[float]
    retry_condition_fn: Any


RETRIED = _Retries(retries=len(PATIENCE), retry_delay_seconds=PATIENCE, retry_condition_fn=is_outage)
"""Options of every task that asks the W&B server; each can be repeated whenever it broke off."""
