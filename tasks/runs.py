"""Wait for a stage's runs, and read the best of them."""

from prefect import task

from multistage.domain.runs.selection import select_top
from multistage.domain.sweep.plan import StageBrief
from multistage.domain.sweep.state import StageCount, TopConfig
from multistage.driver.open_sessions import open_session
from multistage.pipeline.tasks.artifacts import ProgressNote
from multistage.pipeline.tasks.persistence import PERSISTED
from multistage.pipeline.tasks.retries import RETRIED


@task(task_run_name="wait_for_runs stage {brief.stage.stage}", **PERSISTED, **RETRIED)
def wait_for_runs(brief: StageBrief, sweep_id: str) -> StageCount:
    """Fill the sweep with the stage's slots, see every one settled, and end the sweep."""
    session = open_session(brief.folder)
    count = session.drive_stage(brief.stage, brief.box, sweep_id, ProgressNote(lambda: session.state))
    session.end_stage(sweep_id)
    return count


@task(task_run_name="fetch_top_configs stage {brief.stage.stage}", **PERSISTED, **RETRIED)
def fetch_top_configs(brief: StageBrief, sweep_id: str) -> list[TopConfig]:
    """Read the stage's best 10% of the configs, at least 5, the best first."""
    session = open_session(brief.folder)
    evaluations = session.results.read(brief.stage, sweep_id)
    return [
        TopConfig(config=one.config, value=one.value, run_id=one.run_id)
        for one in select_top(evaluations, session.settings.goal)
        if one.value is not None
    ]
