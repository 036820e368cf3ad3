"""How the steps' results are kept, so that a resume finds a finished step done."""

from typing import Any, TypedDict

from prefect.context import TaskRunContext

from multistage.domain.sweep.plan import StageBrief
from multistage.pipeline.tasks.persisted_results import ResultSerializer


def key_by_stage(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Key a step's result by its stage, its name and what the sweep is; the sweep's folder is the storage.

    No run id and no source code are in it: a resumed sweep is another flow run, and may be another release.
    """
    brief: StageBrief = parameters["brief"]
    return f"stage{brief.stage.stage}-{context.task.name}-{brief.key}"


class _Persistence(TypedDict):
    persist_result: bool
    result_serializer: ResultSerializer
    cache_key_fn: Any


PERSISTED = _Persistence(persist_result=True, result_serializer=ResultSerializer(), cache_key_fn=key_by_stage)
"""Options of every task that a resume must not repeat."""
