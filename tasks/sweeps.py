"""Open a multi-stage sweep, brief its stages, and create each stage's W&B sweep."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import get_run_logger, tags, task
from prefect.client.orchestration import get_client
from prefect.exceptions import CancelledRun
from prefect.runtime import deployment, flow_run

from multistage.domain.sweep.plan import StageBrief, StageNumber
from multistage.domain.workers.variables import spare_loopback
from multistage.driver.open_sessions import close_session, open_session
from multistage.driver.session import Session
from multistage.options.catalogue import FLOW_GROUPS
from multistage.options.refusal import check_values, spell_key
from multistage.pipeline.tasks.artifacts import label_run, publish_plan
from multistage.pipeline.tasks.cancel_watch import CancelWatch
from multistage.pipeline.tasks.notices import check_notices, notify_end
from multistage.pipeline.tasks.persisted_results import upgrade_results
from multistage.pipeline.tasks.persistence import PERSISTED
from multistage.pipeline.tasks.retries import RETRIED
from multistage.pipeline.tasks.run_logs import share_logs
from multistage.report.plan import describe_sources
from multistage.report.story import describe_start
from multistage.request.adoption import adopt_sweep
from multistage.request.asked_sweep import fill_name
from multistage.request.preparation import prepare_folder
from multistage.request.resolved_sweep import ResolvedSweep, resolve_sweep, take_over
from multistage.request.resumption import complete_parameters
from multistage.request.sources.precedence import FLOW_RUN
from multistage.request.subject.single import describe_single
from multistage.settings import Settings
from multistage.store.live_records import register_sweep
from multistage.wandb_client import sweep_calls

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def open_sweep(parameters: Mapping[str, Any]) -> Iterator[Session]:
    """Begin the sweep that a flow run's parameters ask for, or take it up; hold its lock meanwhile.

    A flow run that Prefect retries takes up what it began itself.

    Raises:
        UsageError: If the parameters make no sense, or the folder is another sweep's.
    """
    run_id = str(flow_run.id)
    spare_loopback(os.environ)
    with share_logs(), CancelWatch(UUID(run_id)):
        sweep = take_over() or _resolve(parameters, run_id)
        check_notices(sweep.options)
        for note in sweep.notes:
            get_run_logger().info(note)
        with _open_folder(sweep, run_id) as session:
            yield session


@contextlib.contextmanager
def _open_folder(sweep: ResolvedSweep, run_id: str) -> Iterator[Session]:
    with sweep.folder.lock():
        begun = sweep.folder.read_state()
        retried = begun is not None and begun.was_driven_by(run_id)
        upgrade_results(sweep.folder.results)
        prepare_folder(sweep.folder, sweep.request, sweep.plan, sweep.options, sweep.resume or retried)
        register_sweep(Settings(), sweep.folder)
        session = open_session(sweep.folder.path)
        runs = dict.fromkeys((*session.state.flow_runs, run_id))
        session.update_state(flow_run_id=run_id, flow_runs=tuple(runs), prefect_url=flow_run.ui_url)
        try:
            session.show_page()
            logger.info("%s", describe_start(session.state))
            session.prepare_workers()
            publish_plan(session)
            with tags(*label_run(session)), _notify_at_end(session):
                yield session
        finally:
            close_session(sweep.folder.path)


@contextlib.contextmanager
def _notify_at_end(session: Session) -> Iterator[None]:
    """Notify the sweep's user of its end; of an interruption nobody need be told."""
    try:
        yield
    except CancelledRun:
        raise
    except Exception as error:
        notify_end(session.state, session.folder.path, error)
        raise
    notify_end(session.state, session.folder.path)


def _resolve(parameters: Mapping[str, Any], run_id: str) -> ResolvedSweep:
    """Resolve what a flow run was told that no command line has resolved before."""
    directory, environment = Path.cwd(), dict(os.environ)
    checked = check_values(parameters, spell_key, "The form says what each parameter takes.", FLOW_GROUPS)
    named = describe_single(fill_name(checked, run_id))
    adoption = None if named.get("resume") else adopt_sweep(named, directory)
    told = adoption.parameters if adoption else named
    gathered = complete_parameters(told, directory, run_id, read_standing_parameters())
    for line in describe_sources(gathered.parameters, gathered.sources, FLOW_RUN):
        get_run_logger().info(line)
    return resolve_sweep(gathered, directory, environment, adoption.account if adoption else None)


def read_standing_parameters() -> Mapping[str, Any]:
    """Read the parameters that the deployment gives to each of its runs; none where this is no deployment's run."""
    if deployment.id is None:
        return {}
    with get_client(sync_client=True) as client:
        return client.read_deployment(UUID(deployment.id)).parameters


def brief_stage(session: Session, number: StageNumber) -> StageBrief:
    """Return what a stage's steps need: their box, narrowed by the stage before, and the key of their results."""
    state = session.state
    before = {record.stage + 1: record.next_space for record in state.stages_completed}
    stage = state.plan[number - 1]
    return StageBrief(
        folder=session.folder.path,
        stage=stage,
        box=before.get(number) or state.settings.space,
        key=f"{state.settings.hash_identity()}-{stage.runs}" + (f"-{stage.reopened}" if stage.reopened else ""),
        last=number == len(state.plan),
    )


@task(task_run_name="create_sweep stage {brief.stage.stage}", **PERSISTED, **RETRIED)
def create_sweep(brief: StageBrief) -> str:
    """Create the stage's sweep, or find the one that a killed process created; returns its id."""
    session = open_session(brief.folder)
    adopted = session.settings.adopted
    if adopted is not None:
        sweep_calls.cap_runs(session.connection, adopted.sweep_id, adopted.runs + brief.stage.runs)
        return adopted.sweep_id
    name = session.name_sweep(brief.stage.stage)
    config = sweep_calls.build_sweep_config(session.settings, brief.stage, brief.box, name)
    found = sweep_calls.find_sweep(session.connection, name)
    if found is not None:
        sweep_calls.take_up_sweep(session.connection, found, config)
        return found
    return sweep_calls.create_sweep(session.connection, config, session.results.list_prior_runs(brief.stage, brief.box))
