"""Start a stage's workers."""

import logging
from collections.abc import Sequence

from prefect import task

from multistage.domain.sweep.plan import StageBrief
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.driver.open_sessions import open_session
from multistage.pipeline.tasks.persistence import PERSISTED

logger = logging.getLogger(__name__)


@task(task_run_name="launch_workers stage {brief.stage.stage}", **PERSISTED)
def launch_workers(brief: StageBrief, sweep_id: str) -> Sequence[WorkerRecord]:
    """Start the stage's workers; `wait_for_runs` replaces those that end before the work does."""
    session = open_session(brief.folder)
    session.begin_stage(brief.stage, sweep_id)
    sweep = f"{session.connection.path}/{sweep_id}"
    done = sum(one.runs_completed for one in session.state.stages_completed if one.stage == brief.stage.stage)
    wanted = min(session.state.options.workers, brief.stage.runs - done)
    missing = wanted - len(session.roster.list_alive(sweep))
    workers = session.roster.launch(sweep, missing)
    logger.info("%d workers train sweep %s", len(workers), sweep_id)
    return workers
