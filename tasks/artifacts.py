"""Show a sweep in the Prefect UI and in its report. What cannot be shown is said in the log: no sweep ends for it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from prefect import get_client, get_run_logger
from prefect.artifacts import (
    Artifact,
    ImageArtifact,
    ProgressArtifact,
    TableArtifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.runtime import flow_run, task_run
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from multistage.domain.runs.results import Evaluation
from multistage.domain.runs.slots import Slots
from multistage.domain.sweep.plan import SweepPlan
from multistage.domain.sweep.state import StageProgress, StageRecord, State
from multistage.driver.session import Session
from multistage.report.artifacts import (
    describe_artifact,
    describe_plan,
    describe_progress,
    describe_result,
    describe_stage,
    describe_standing,
    list_best,
    list_top_configs,
    name_artifact,
    name_tags,
)
from multistage.report.pictures import draw_history_picture, embed_picture
from multistage.request.forecast import warn_of

PROGRESS_INTERVAL = 5.0
"""Seconds from one change of a progress artifact to the next."""
RETRY_INTERVAL = 120.0
"""Seconds until the next attempt, where Prefect did not take one: a stage must not wait for its picture."""
PATIENCE = 10.0
"""Seconds for which Prefect's answer is waited for, twice at most, while runs train."""


@contextmanager
def _say_what_fails(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        get_run_logger().warning("%s could not be shown: %r", what, error)


def label_run(session: Session) -> Sequence[str]:
    """Name the parent's flow run for people, and tag it; returns the tags, which all runs below it carry too."""
    state, labels = session.state, name_tags(session.state)
    with _say_what_fails("The flow run's name and tags"), get_client(sync_client=True) as client:
        client.update_flow_run(
            UUID(str(flow_run.id)),
            name=f"{state.config_id}, {state.total_budget} runs",
            tags={*flow_run.tags, *labels},
        )
    return labels


def publish_plan(session: Session) -> None:
    """Show what the sweep is going to do, and where it stands before its first run."""
    state = session.state
    begins = not state.stages_completed and state.settings.definition is None
    warnings = warn_of(SweepPlan(settings=state.settings, stages=state.plan), state.options) if begins else ()
    for warning in warnings:
        get_run_logger().warning("%s", warning)
    with _say_what_fails("The plan"):
        create_markdown_artifact(
            describe_plan(state, session.folder.path, warnings),
            name_artifact(state, "plan"),
            describe_artifact(state, "What is planned"),
        )
    with _say_what_fails("Where the sweep stands"), get_client(sync_client=True) as client:
        _show_standing(client, state)


def publish_stage(session: Session, record: StageRecord) -> None:
    """Show what a stage found and how it narrowed the ranges, and write the report so far."""
    state, stage = session.state, f"stage-{record.stage}"
    with _say_what_fails(f"What stage {record.stage} of {state.name} found"), get_client(sync_client=True) as client:
        create_markdown_artifact(
            describe_stage(state, record, session.folder.path),
            name_artifact(state, stage),
            describe_artifact(state, f"What stage {record.stage} found"),
        )
        create_table_artifact(
            list_top_configs(state, record),
            name_artifact(state, stage, "top-configs"),
            describe_artifact(state, f"The best configs of stage {record.stage}"),
        )
        _show_standing(client, state)
    if record.stage < len(state.plan):  # after the last one comes the result, and the report with it
        _publish_report(session)


def publish_result(session: Session) -> None:
    """Show the result, and write the report."""
    state = session.state
    with _say_what_fails("The result"), get_client(sync_client=True) as client:
        create_markdown_artifact(
            describe_result(state, session.folder.path),
            name_artifact(state, "result"),
            describe_artifact(state, "The result"),
        )
        _show_standing(client, state)
    _publish_report(session)


def _publish_report(session: Session) -> None:
    state = session.state
    with _say_what_fails(f"The report (`multistage-sweep report {session.folder.shell_path}` tries again)"):
        data = session.collect_report()
        session.write_report(data)
        picture = draw_history_picture(data)
        if picture is not None:
            words = describe_artifact(state, "What the runs reached")
            key = name_artifact(state, "history")
            history = ImageArtifact(key=key, description=words, image_url=embed_picture(picture))
            with get_client(sync_client=True) as client:
                _show_in_parent(client, state, history)


def _show_standing(client: SyncPrefectClient, state: State, running: Sequence[Evaluation] = ()) -> None:
    """Show on the parent's page how much of the budget is used, and the best configs so far."""
    share, words = 100.0 * state.budget_used / state.total_budget, describe_standing(state)
    key = name_artifact(state, "progress")
    _show_in_parent(client, state, ProgressArtifact(key=key, description=words, progress=share))
    best, words = list_best(state, running), describe_artifact(state, "The best configs so far")
    key = name_artifact(state, "best")
    _show_in_parent(client, state, TableArtifact(key=key, description=words, table=best))


def _show_in_parent(client: SyncPrefectClient, state: State, artifact: Artifact) -> None:
    """Show it in the parent's flow run: what a stage finds out stands on that page, too."""
    _show(client, artifact.model_copy(update={"flow_run_id": UUID(state.flow_run_id)}))


def _show(client: SyncPrefectClient, artifact: Artifact) -> None:
    """Change the artifact of this key in this flow run, or make it."""
    data, description = artifact.format(), artifact.description
    wanted = ArtifactFilter(
        key=ArtifactFilterKey(any_=[artifact.key or ""]),
        flow_run_id=ArtifactFilterFlowRunId(any_=[cast(UUID, artifact.flow_run_id)]),
    )
    found = client.read_artifacts(artifact_filter=wanted)
    if found:
        client.update_artifact(found[0].id, ArtifactUpdate(data=data, description=description))
        return
    client.create_artifact(
        ArtifactCreate(
            type=artifact.type,
            key=artifact.key,
            description=description,
            data=data,
            flow_run_id=artifact.flow_run_id,
            task_run_id=UUID(task_run.id) if task_run.id else None,
        )
    )


@contextmanager
def _ask_briefly() -> Iterator[SyncPrefectClient]:
    """Open a client that does not wait for a Prefect that hangs: Prefect's own asks six times, a minute each."""
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}),
        get_client(httpx_settings={"timeout": PATIENCE}, sync_client=True) as client,
    ):
        yield client


class ProgressNote:
    """What a stage has come to, shown when it has changed but only every few seconds: on its page, and on the parent's.

    Args:
        read_state: Gives the sweep's state.
    """

    def __init__(self, read_state: Callable[[], State]) -> None:
        self._read_state = read_state
        self._shown: StageProgress | None = None
        self._next = 0.0

    def __call__(self, now: StageProgress, slots: Slots) -> None:
        """Show where the stage stands, unless something was shown just now; its end always is."""
        if now == self._shown or (time.monotonic() < self._next and now.used < now.runs):
            return
        self._next = time.monotonic() + RETRY_INTERVAL
        with _say_what_fails("The stage's progress"), _ask_briefly() as client:
            state = self._read_state()
            _show_stage(client, state, now)
            _show_standing(client, state, slots.list_evaluations())
            self._shown, self._next = now, time.monotonic() + PROGRESS_INTERVAL


def _show_stage(client: SyncPrefectClient, state: State, now: StageProgress) -> None:
    share, words = 100.0 * now.used / max(1, now.runs), describe_artifact(state, describe_progress(now))
    key = name_artifact(state, f"stage-{now.stage}", "progress")
    stage = ProgressArtifact(key=key, description=words, progress=share, flow_run_id=UUID(flow_run.id))
    _show(client, stage)
