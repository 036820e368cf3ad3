"""Open a multi-stage sweep, brief its stages, and create each stage's W&B sweep."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import get_run_logger, tags, task
from prefect.client.orchestration import get_client
from prefect.runtime import deployment, flow_run

from multistage.domain.plan import StageBrief, StageNumber
from multistage.domain.variables import spare_loopback
from multistage.driver.launching import check_launching, review_launching
from multistage.driver.open_sessions import close_session, open_session
from multistage.driver.session import Session
from multistage.pipeline.tasks.artifacts import label_run, publish_plan
from multistage.pipeline.tasks.persisted_results import upgrade_results
from multistage.pipeline.tasks.persistence import PERSISTED, RETRIED
from multistage.report.plan import tell_sources
from multistage.request.preferences import FLOW_RUN
from multistage.request.preparation import complete_parameters, fill_name, prepare_folder, read_parameters
from multistage.request.resolution import resolve_request
from multistage.request.single import adopt_sweep, describe_single
from multistage.settings import Settings
from multistage.store.live_records import register_sweep
from multistage.wandb_client import sweep_calls
from multistage.wandb_client.login import open_account


@contextlib.contextmanager
def open_sweep(parameters: Mapping[str, Any]) -> Iterator[Session]:
    """Begin the sweep that a flow run's parameters ask for, or take it up; hold its lock meanwhile.

    A flow run that Prefect retries takes up what it began itself.

    Raises:
        UsageError: If the parameters make no sense, or the folder is another sweep's.
    """
    run_id, directory = str(flow_run.id), Path.cwd()
    spare_loopback(os.environ)
    environment = dict(os.environ)
    named = describe_single(fill_name(parameters, run_id))
    if not named.get("resume"):
        named = adopt_sweep(named, directory)
    gathered = complete_parameters(named, directory, run_id, read_standing_parameters())
    for line in (*tell_sources(gathered.parameters, gathered.sources, FLOW_RUN), *gathered.notes):
        get_run_logger().info(line)
    asked = read_parameters(gathered.parameters, directory)
    account = open_account(asked.request.tracker, asked.request.entity)
    resolved = resolve_request(asked.request, asked.options.directory, account, asked.folder_path.parent)
    check_launching(resolved.plan, asked.options, account)
    for note in review_launching(resolved.plan.settings, asked.options, account, environment):
        get_run_logger().info(note)
    with asked.folder.lock():
        begun = asked.folder.read_state()
        retried = begun is not None and begun.was_driven_by(run_id)
        upgrade_results(asked.folder.results)
        prepare_folder(asked.folder, asked.request, resolved, asked.options, asked.resume or retried)
        register_sweep(Settings(), asked.folder)
        session = open_session(asked.folder.path)
        runs = dict.fromkeys((*session.state.flow_runs, run_id))
        session.update_state(flow_run_id=run_id, flow_runs=tuple(runs), prefect_url=flow_run.ui_url)
        session.prepare_workers()
        try:
            publish_plan(session)
            with tags(*label_run(session)):
                yield session
        finally:
            close_session(asked.folder.path)


def read_standing_parameters() -> Mapping[str, Any]:
    """Read the parameters that the deployment gives to each of its runs; none where this is no deployment's run."""
    if deployment.id is None:
        return {}
    with get_client(sync_client=True) as client:
        return client.read_deployment(UUID(deployment.id)).parameters


def brief_stage(session: Session, number: StageNumber) -> StageBrief:
    """Tell a stage's steps their box, which the stage before has narrowed, and the key of their results."""
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
    """Create the stage's sweep, or find the one that a killed process created; gives its id."""
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
    return sweep_calls.create_sweep(session.connection, config, session.list_prior_runs(brief.stage, brief.box))
