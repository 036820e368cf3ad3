"""Make a sweep's folder ready: begin a new sweep in it, or take up the one that it holds."""

import os
import secrets
from datetime import UTC, datetime

from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import RunOptions, StagePlan, SweepPlan, grow_stages
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.sweep.state import StageRecord, State
from multistage.errors import FolderError, UsageError
from multistage.options.catalogue import SETTLED
from multistage.request.resume_line import write_name, write_resume
from multistage.store.sweep_folder import SweepFolder


def check_folder(folder: SweepFolder, proposed: SweepPlan, resume: bool) -> State | None:
    """Look whether a sweep may be started, or taken up, in a folder. Writes nothing.

    Returns:
        The state of the sweep to take up; None for a new one.

    Raises:
        FolderError: If a new sweep's folder holds a sweep, or there is none to take up, or its state is damaged, or
            another process drives it.
        UsageError: If a resume would change what the sweep is.
    """
    state = folder.load_state() if resume else folder.read_state()
    folder.check_writable()
    if state is None:
        return None
    driver = folder.find_driver()
    if driver is not None and (driver != os.getpid() or folder.find_driver_host()):
        raise folder.refuse_driver()
    if not resume:
        progress = f"{state.budget_used} of {state.total_budget} runs, {state.status}"
        raise FolderError(
            f"{folder.path} holds a sweep of {state.config_id} already ({progress}).",
            f"Resume it with `{write_resume(folder)}`, look at it with "
            f"`multistage-sweep status {write_name(folder)}`, or start another one with --name.",
        )
    changes = state.settings.compare_identity(proposed.settings, state.has_counted)
    if changes:
        texts = {key: (repr(old), repr(new)) for key, (old, new) in changes.items()}
        if "space" in texts:
            texts["space"] = _describe(state.settings.space), _describe(proposed.settings.space)
        named = ((SETTLED.get(key, key), *text) for key, text in texts.items())
        difference = "; ".join(f"{key} was {old} and would be {new}" for key, old, new in named)
        raise UsageError(
            f"A resume cannot change what the sweep is: {difference}.",
            "Leave it as it was, or start another with --name.",
        )
    if proposed.settings.budget < state.settings.budget:
        raise UsageError(
            f"The budget was {state.settings.budget} runs and would be {proposed.settings.budget}; it can only grow.",
            "Leave --budget as it was, or start another sweep with --name.",
        )
    return state


def _describe(space: SearchSpace) -> str:
    return ", ".join(parameter.describe() for parameter in space.parameters)


def reopen_stages(state: State) -> tuple[tuple[StageRecord, ...], tuple[StagePlan, ...]]:
    """Find the stages that a resume goes on with although they have ended: those that something cut short.

    A stage from which another has been narrowed and trained stays as it is; what it left goes to later ones.

    Args:
        state: The sweep's.

    Returns:
        The records of the stages that stay complete, and the plan of all.
    """
    kept = list(state.stages_completed)
    while kept and kept[-1].cut_short is not None:
        kept.pop()
    open_again = {record.stage for record in state.stages_completed[len(kept) :]}
    plan = tuple(
        stage.model_copy(update={"reopened": stage.reopened + 1}) if stage.stage in open_again else stage
        for stage in state.plan
    )
    return tuple(kept), plan


def prepare_folder(
    folder: SweepFolder, request: SweepRequest, proposed: SweepPlan, options: RunOptions, resume: bool
) -> State:
    """Write the state that the sweep starts, or goes on, with.

    Raises:
        FolderError: As `check_folder`, or if the folder cannot be written.
        UsageError: As `check_folder`.
    """
    now = datetime.now(UTC)
    settings = proposed.settings
    state = check_folder(folder, proposed, resume)
    if state is not None:
        kept, plan = reopen_stages(state)
        completed = [record.stage for record in kept]
        metric = {"metric": settings.metric, "goal": settings.goal}
        if (state.settings.metric, state.settings.goal) != (settings.metric, settings.goal):
            folder.forget_values()
        unused = sum(state.plan[record.stage - 1].runs - record.runs_completed for record in kept if record.cut_short)
        state = state.model_copy(
            update={
                "stages_completed": kept,
                "budget_used": sum(record.runs_completed for record in kept),
                "options": options.model_copy(update={"directory": state.options.directory}),
                "settings": settings,
                "request": state.request.model_copy(
                    update={"budget": settings.budget} | ({} if request.single else metric)
                ),
                "metric_name": settings.metric,
                "goal": settings.goal,
                "total_budget": settings.budget,
                "plan": grow_stages(plan, completed, settings, unused),
                "status": "running",
                "ended_because": None,
                "updated_at": now,
            }
        )
    else:
        state = State(
            config_id=settings.config_id,
            entity=settings.entity,
            project=settings.project,
            params=settings.space.bounds,
            metric_name=settings.metric,
            total_budget=settings.budget,
            name=folder.name,
            uid=secrets.token_hex(4),
            goal=settings.goal,
            plan=proposed.stages,
            request=request.model_copy(
                update={
                    name: getattr(settings, name)
                    for name in ("program", "tracker", "entity", "project", "metric", "goal", "search", "early_stop")
                    if not (request.single and name in ("metric", "goal"))  # what its own config says stays there
                }
            ),
            settings=settings,
            options=options,
            created_at=now,
            updated_at=now,
        )
    folder.write_state(state)
    return state
