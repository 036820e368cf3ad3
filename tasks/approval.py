"""Ask a person between two stages, in a form of Prefect's."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect import get_run_logger, pause_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from pydantic import Field, create_model

from multistage.domain.space.grammar import format_range
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.approval_form import (
    GO_ON,
    approve,
    describe_proposal,
    find_proposal,
    name_fields,
    read_ranges,
)
from multistage.domain.sweep.plan import StageNumber
from multistage.domain.sweep.state import PendingApproval, StageRecord
from multistage.driver.session import Session
from multistage.errors import ApprovalError, SpaceError
from multistage.pipeline.tasks.approval_watch import ApprovalWatch
from multistage.pipeline.tasks.notices import notify

POLL_INTERVAL = 2
"""Seconds between two looks whether somebody answered."""
FOREVER = 10 * 365 * 86_400
"""Seconds: Prefect wants a number, and the clock that ends the wait is `ApprovalWatch`'s."""


def await_approval(session: Session, number: StageNumber) -> None:
    """Wait until a person has approved a stage's ranges, where that was asked for.

    Raises:
        ApprovalError: A person ended the sweep here, or nobody answered in time and that is to end it.
    """
    record = find_proposal(session.state, number)
    if record is None or record.next_space is None:
        return
    options, since = session.state.options, datetime.now(UTC)
    until = since + timedelta(seconds=options.approve_timeout) if options.approve_timeout else None
    texts = {parameter.name: format_range(parameter) for parameter in record.next_space.parameters}
    pending = PendingApproval(stage=number, proposed=texts, url=f"{flow_run.ui_url}", until=until)
    session.update_state(pending_approval=pending)
    get_run_logger().info("Stage %d waits for approval of its ranges", number)
    notify(session.state, session.folder.path, f"stage {number} waits for you")
    try:
        space, by = _ask(session, record, record.next_space, until)
    finally:
        session.update_state(pending_approval=None)
    session.complete_stage(approve(record, space, by, datetime.now(UTC)))


def _ask(
    session: Session, record: StageRecord, proposed: SearchSpace, until: datetime | None
) -> tuple[SearchSpace, str]:
    problem = ""
    for attempt in range(1, 1000):
        form = build_form(record, proposed, problem)
        # A key that a flow run had before, also before a retry, would bring its old answer.
        key = f"stage{record.stage + 1}-{secrets.token_hex(4)}-{attempt}"
        with ApprovalWatch(UUID(str(flow_run.id)), key, until) as watch:
            answer = pause_flow_run(
                wait_for_input=form, timeout=FOREVER, poll_interval=POLL_INTERVAL, key=key
            ).model_dump()
        if watch.expired.is_set():
            get_run_logger().warning("Nobody approved the ranges of stage %d in time", record.stage + 1)
            if session.state.options.on_timeout == "continue":
                return proposed, "timeout"
            raise _stop(session, f"Nobody approved the ranges of stage {record.stage + 1} in time.")
        if not answer.pop(GO_ON):
            raise _stop(session, f"A person ended the sweep before stage {record.stage + 1}.")
        try:
            texts = {name: answer[field] for name, field in name_fields(proposed).items()}
            return read_ranges(texts, proposed, session.settings.space), "person"
        except SpaceError as error:
            problem = str(error)
            get_run_logger().warning("The answer cannot be used, so the question is asked again: %s", problem)
    raise _stop(session, "Nobody gave usable ranges.")


def _stop(session: Session, reason: str) -> ApprovalError:
    session.update_state(status="stopped", ended_because=reason)
    return ApprovalError(reason, f"Resume with: {session.folder.resume_command}")


def build_form(record: StageRecord, proposed: SearchSpace, problem: str) -> type[RunInput]:
    """Build the form: a text for each parameter's range, and a switch."""
    names = name_fields(proposed)
    fields: dict[str, Any] = {
        names[parameter.name]: (str, Field(default=format_range(parameter), title=parameter.name))
        for parameter in proposed.parameters
    }
    fields[GO_ON] = (bool, Field(default=True, title="Go on", description="Off ends the sweep; a resume asks again."))
    form: type[RunInput] = create_model("Ranges", __base__=RunInput, **fields)
    form._description = describe_proposal(record, problem)
    return form
