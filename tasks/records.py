"""Mirror what happened into ``state.json``, and show it in Prefect."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from prefect import task

from multistage.domain.space.narrowing import Narrowing
from multistage.domain.sweep.plan import StageBrief
from multistage.domain.sweep.state import StageCount, StageRecord, State, TopConfig
from multistage.driver.open_sessions import open_session
from multistage.pipeline.tasks.artifacts import publish_result, publish_stage
from multistage.pipeline.tasks.persistence import PERSISTED
from multistage.pipeline.tasks.retries import RETRIED
from multistage.report.story import describe_end, describe_stage_end

logger = logging.getLogger(__name__)


@task(task_run_name="mirror_state stage {brief.stage.stage}", **PERSISTED)
def mirror_state(
    brief: StageBrief, sweep_id: str, count: StageCount, top: Sequence[TopConfig], narrowing: Narrowing | None
) -> StageRecord:
    """Add the finished stage to ``state.json``; show it in Prefect and in the report."""
    session = open_session(brief.folder)
    best = top[0] if top else None
    started = session.state.current_stage.started_at if session.state.current_stage else session.state.updated_at
    record = StageRecord(
        stage=brief.stage.stage,
        sweep_id=sweep_id,
        runs_completed=count.used,
        best_metric=best.value if best else None,
        best_config=best.config if best else None,
        best_run=best.run_id if best else None,
        top_configs=tuple(top),
        method=brief.stage.method,
        bounds=brief.box.bounds,
        narrowing=narrowing.notes if narrowing else (),
        next_space=narrowing.space if narrowing else None,
        runs_failed=count.failed,
        attempts_lost=count.attempts_lost,
        cut_short=count.cut_short,
        started_at=started,
        ended_at=max(started, datetime.now(UTC)),
    )
    session.complete_stage(record)
    for line in (describe_stage_end(record), *(note.evidence for note in record.narrowing)):
        logger.info("%s", line)
    publish_stage(session, record)
    return record


@task(task_run_name="publish_report", **RETRIED)
def publish_report(folder: Path) -> State:
    """Settle what the sweep recommends, end it, and show the result in Prefect and in the report."""
    session = open_session(folder)
    state = session.complete_sweep()
    logger.info("%s", describe_end(state))
    publish_result(session)
    return state
