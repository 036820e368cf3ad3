"""Narrow the ranges for the next stage."""

from prefect import task

from multistage.domain.space.narrowing import Narrowing
from multistage.domain.sweep.plan import StageBrief
from multistage.driver.open_sessions import open_session
from multistage.pipeline.tasks.persistence import PERSISTED
from multistage.pipeline.tasks.retries import RETRIED


@task(task_run_name="narrow_ranges stage {brief.stage.stage}", **PERSISTED, **RETRIED)
def narrow_ranges(brief: StageBrief, sweep_id: str) -> Narrowing:
    """Narrow the box around the stage's top configs, with a sentence of evidence for each parameter."""
    session = open_session(brief.folder)
    evaluations = session.results.read(brief.stage, sweep_id)
    return session.search.narrow(2 if brief.stage.stage == 1 else 3, evaluations, brief.box)
