"""One stage of a multi-stage sweep, as a subflow."""

from prefect import flow

from multistage.domain.sweep.plan import StageBrief
from multistage.domain.sweep.state import StageRecord
from multistage.pipeline.tasks.endings import end_in_words, stop_workers
from multistage.pipeline.tasks.ranges import narrow_ranges
from multistage.pipeline.tasks.records import mirror_state
from multistage.pipeline.tasks.runs import fetch_top_configs, wait_for_runs
from multistage.pipeline.tasks.sweeps import create_sweep
from multistage.pipeline.tasks.workers import launch_workers


@flow(
    name="sweep-stage",
    description="Fills one W&B sweep with a stage's share of the budget, and narrows the ranges for the next stage.",
    flow_run_name="{name}-stage{number}",
    persist_result=True,
    result_serializer="json",
    on_failure=[stop_workers],
    on_cancellation=[stop_workers],
    on_crashed=[stop_workers],
)
@end_in_words
def sweep_stage(name: str, number: int, brief: StageBrief) -> StageRecord:
    """Fill one W&B sweep with the stage's share of the budget, and narrow the ranges for the next stage.

    Args:
        name: The multi-stage sweep's name, for the run's own.
        number: The stage, for the run's name.
        brief: The stage, its box and the sweep's folder.

    Needs what the parent flow started: the W&B server that the folder's state names.
    """
    sweep_id = create_sweep(brief)
    launch_workers(brief, sweep_id)
    count = wait_for_runs(brief, sweep_id)
    top = fetch_top_configs(brief, sweep_id)
    narrowing = narrow_ranges(brief, sweep_id) if not brief.last else None
    return mirror_state(brief, sweep_id, count, top, narrowing)
