"""The command that lets a sweep's next stage begin."""

import os
from typing import Annotated
from uuid import UUID

from cyclopts import Parameter

from multistage.cli.paths import TypedPath
from multistage.cli.showing import locate_runs
from multistage.errors import ServiceError, SpaceError, UsageError


def approve(
    name: str,
    /,
    *,
    ranges: str = "",
    stop: Annotated[bool, Parameter(negative=())] = False,
    runs_dir: TypedPath | None = None,
) -> int:
    """Let the next stage of a sweep with --approve begin; the Prefect UI has the same as a form.

    Args:
        name: The sweep's name, its folder or its state.json.
        ranges: What to search instead, such as policy_lr:1e-3-2e-3,clip_range:0.1-0.2; the rest stays as proposed.
        stop: End the sweep instead; a resume asks again.
        runs_dir: Where the sweeps' folders lie.
    """
    from multistage.domain.space.grammar import split_params
    from multistage.domain.sweep.approval_form import GO_ON, find_proposal, name_fields, read_ranges
    from multistage.request.resume_line import write_name, write_resume
    from multistage.services.prefect import enter_prefect_server, find_prefect_server
    from multistage.settings import Settings
    from multistage.store.sweep_folder import find_folder

    folder = find_folder(name, *locate_runs(runs_dir))
    state = folder.load_state()
    pending = state.pending_approval
    record = find_proposal(state, pending.stage) if pending else None
    if pending is None or record is None or record.next_space is None or state.flow_run_id is None:
        raise UsageError(
            f"The sweep {state.name} is not waiting for approval.",
            f"`multistage-sweep status {write_name(folder)}` shows it.",
        )
    if folder.find_driver() is None:
        raise UsageError(
            f"The sweep {state.name} is not running: its driver is gone.", f"Resume with: {write_resume(folder)}"
        )
    texts: dict[str, str] = {}
    for item in split_params(ranges) if ranges else ():
        key, _, text = item.partition(":")
        if not text:
            raise SpaceError(f"{item!r} is not a range.", "Write --ranges name:min-max, separated by commas.")
        texts[key.strip()] = text
    read_ranges(texts, record.next_space, state.settings.space)
    settings = Settings()
    server = find_prefect_server(settings)
    if server is None:
        raise ServiceError("The Prefect server is not running.", "`multistage-sweep up` starts it.")
    enter_prefect_server(server, settings, os.environ)
    from prefect.exceptions import NotPausedError
    from prefect.flow_runs import resume_flow_run

    fields = name_fields(record.next_space)
    answer = {fields[key]: text for key, text in texts.items()} | ({GO_ON: False} if stop else {})
    try:
        resume_flow_run(UUID(state.flow_run_id), run_input=answer)
    except NotPausedError as error:
        raise UsageError(
            "The sweep is no longer waiting.", "Somebody else answered first, or its time ran out."
        ) from error
    print(f"Told the sweep {state.name} to {'stop' if stop else f'continue with stage {pending.stage}'}.")
    return 0
