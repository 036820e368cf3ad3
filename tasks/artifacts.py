"""Show a sweep in the Prefect UI and in its report. What cannot be shown is said in the log: no sweep ends for it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from prefect import get_client, get_run_logger
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.runtime import flow_run

from multistage.domain.sweep.plan import SweepPlan
from multistage.domain.sweep.state import StageProgress, StageRecord, State
from multistage.driver.session import Session
from multistage.report.artifacts import (
    describe_plan,
    describe_progress,
    describe_result,
    describe_stage,
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


@contextmanager
def _say_what_fails(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        get_run_logger().warning("%s could not be shown: %r", what, error)


def label_run(session: Session) -> Sequence[str]:
    """Name the parent's flow run for people, and tag it; gives the tags, which all runs below it carry too."""
    state, labels = session.state, name_tags(session.state)
    with _say_what_fails("The flow run's name and tags"), get_client(sync_client=True) as client:
        client.update_flow_run(
            UUID(str(flow_run.id)),
            name=f"{state.config_id}, {state.total_budget} runs",
            tags={*flow_run.tags, *labels},
        )
    return labels


def publish_plan(session: Session) -> None:
    """Show what the sweep is going to do."""
    state = session.state
    with _say_what_fails("The plan"):
        begins = not state.stages_completed and state.settings.definition is None
        warnings = warn_of(SweepPlan(settings=state.settings, stages=state.plan), state.options) if begins else ()
        create_markdown_artifact(
            describe_plan(state, session.folder.path, warnings),
            name_artifact(state, "plan"),
            f"The plan of {state.name}.",
        )


def publish_stage(session: Session, record: StageRecord) -> None:
    """Show what a stage found and how it narrowed the ranges, and write the report so far."""
    state, stage = session.state, f"stage-{record.stage}"
    of = f"stage {record.stage} of {state.name}"
    with _say_what_fails(f"What {of} found"):
        create_markdown_artifact(
            describe_stage(state, record, session.folder.path), name_artifact(state, stage), f"What {of} found."
        )
        create_table_artifact(
            list_top_configs(state, record), name_artifact(state, stage, "top-configs"), f"The best configs of {of}."
        )
    if record.stage < len(state.plan):  # after the last one comes the result, and the report with it
        _publish_report(session)


def publish_result(session: Session) -> None:
    """Show the result, and write the report."""
    state = session.state
    with _say_what_fails("The result"):
        create_markdown_artifact(
            describe_result(state, session.folder.path), name_artifact(state, "result"), f"The result of {state.name}."
        )
    _publish_report(session)


def _publish_report(session: Session) -> None:
    state = session.state
    with _say_what_fails(f"The report (`multistage-sweep report {state.name}` tries again)"):
        data = session.collect_report()
        session.write_report(data)
        picture = draw_history_picture(data)
        if picture is not None:
            create_image_artifact(
                embed_picture(picture), name_artifact(state, "history"), f"What the runs of {state.name} reached."
            )


class ProgressNote:
    """A stage's progress artifact, changed as runs finish but only every few seconds.

    Args:
        state: The sweep.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._artifact: UUID | None = None
        self._next = 0.0

    def __call__(self, now: StageProgress) -> None:
        """Show where the stage stands, unless that was done just now; its end is always shown."""
        if time.monotonic() < self._next and now.used < now.runs:
            return
        self._next = time.monotonic() + RETRY_INTERVAL
        share, words = 100.0 * now.used / max(1, now.runs), describe_progress(now)
        with _say_what_fails("The stage's progress"):
            if self._artifact is None:
                key = name_artifact(self._state, f"stage-{now.stage}", "progress")
                self._artifact = cast(UUID, create_progress_artifact(share, key, words))
            else:
                update_progress_artifact(self._artifact, share, words)
            self._next = time.monotonic() + PROGRESS_INTERVAL
