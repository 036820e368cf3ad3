"""Start and stop a stage's workers."""

from collections.abc import Sequence
from typing import Any, Literal

from prefect import Flow, get_run_logger, task
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging.loggers import flow_run_logger

from multistage.domain.sweep.plan import StageBrief
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.driver.launching import tell_workers_fate
from multistage.driver.open_sessions import open_session, stop_sweep
from multistage.pipeline.tasks.persistence import PERSISTED
from multistage.request.asked_sweep import fill_name, locate_folder


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
    get_run_logger().info("%d workers train sweep %s", len(workers), sweep_id)
    return workers


def stop_workers(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """End the sweep's workers, note why, and log how to go on.

    A hook of both flows, safe to be called twice and from any process: after a cancel Prefect calls the parent's in
    its worker's process, not in the flow's.
    """
    parameters = fill_name(flow_run.parameters, str(flow_run.id))
    parent = None if "brief" in parameters else str(flow_run.id)
    status: Literal["failed", "stopped"] = "failed" if state.is_failed() else "stopped"
    stopped = stop_sweep(locate_folder(parameters), status, state.message or "", flow_run_id=parent)
    if stopped:
        fate = tell_workers_fate(stopped.load_state().options, has_failed=status == "failed")
        flow_run_logger(flow_run, flow).warning(
            "The sweep is %s, %s. Go on with: multistage-sweep --resume %s",
            status,
            fate,
            stopped.state_file,
        )
