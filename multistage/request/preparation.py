"""Make a sweep's folder ready: begin a new sweep in it, or take up the one that it holds."""

import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from multistage.domain.model import Model
from multistage.domain.plan import RunOptions, RunWishes, StagePlan, grow_stages
from multistage.domain.request import SweepRequest
from multistage.domain.state import StageRecord, State
from multistage.errors import FolderError, UsageError
from multistage.launchers.registry import find_kind
from multistage.request.preferences import (
    FILE_SAYS,
    FLOW_RUN,
    RIVALS,
    GatheredParameters,
    find_runs_dir,
    gather_parameters,
)
from multistage.request.resolution import ResolvedRequest
from multistage.request.subject import trains_bundled
from multistage.store.sweep_folder import SweepFolder, name_sweep

NOTHING: Mapping[str, Any] = {}


class AskedSweep(Model):
    """A flow run's parameters, sorted: what, how and where."""

    request: SweepRequest
    options: RunOptions
    folder_path: Path
    resume: bool

    @property
    def folder(self) -> SweepFolder:
        """The sweep's folder; it need not exist yet."""
        return SweepFolder(self.folder_path)


def fill_name(parameters: Mapping[str, Any], flow_run_id: str) -> Mapping[str, Any]:
    """Replace ``{flow_run}`` in the sweep's name, so that each run of a deployment has a folder of its own.

    Args:
        parameters: Of the parent flow's run.
        flow_run_id: Its id; a retry keeps it.
    """
    name = parameters.get("name")
    return {**parameters, "name": name.replace("{flow_run}", flow_run_id[:8])} if name else parameters


def complete_parameters(
    parameters: Mapping[str, Any], directory: Path, flow_run_id: str = "", standing: Mapping[str, Any] = NOTHING
) -> GatheredParameters:
    """Fill in what a flow run was not told: as the sweep began, where it is taken up; else from the settings.

    Says where each came from only where it is from the settings.

    Args:
        parameters: By name; None stands for one that was not given.
        directory: Where the settings file is looked for.
        flow_run_id: Of this flow run: one that Prefect retries takes up what it drove itself, as it was.
        standing: The deployment's own parameters. A form sends them all, so on a resume they are no wish.

    Raises:
        FolderError: There is nothing to take up.
        UsageError: The settings file, or a variable of the environment, makes no sense.
    """
    folder = SweepFolder(locate_folder(parameters))
    state = folder.load_state() if parameters.get("resume") else folder.read_state()
    place = {key: parameters.get(key) for key in ("name", "runs_dir", "resume")}
    if state is not None and state.was_driven_by(flow_run_id):
        return GatheredParameters(parameters=take_up(state, place), sources={})
    if state is not None and parameters.get("resume"):
        wished = {key: value for key, value in parameters.items() if value != standing.get(key)}
        return GatheredParameters(parameters=take_up(state, wished | place), sources={})
    return gather_parameters(parameters, directory, parameters.get("settings"), FLOW_RUN)


def take_up(state: State, given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the parameters that a sweep began with, and what a resume changes of them."""
    began = {**state.request.model_dump(), **state.options.model_dump(exclude={"directory"})}
    changed = {key: value for key, value in given.items() if value is not None and key not in ("single", "adopted")}
    began |= {RIVALS[key]: None for key in changed if key in RIVALS}
    if "sweep_file" in changed:  # what the first file said is not said again by the request
        began |= dict.fromkeys(FILE_SAYS)
    if isinstance(changed.get("modal"), Mapping):
        changed["modal"] = {**began["modal"], **changed["modal"]}
    return {**began, **changed}


def locate_folder(parameters: Mapping[str, Any]) -> Path:
    """Find the sweep's folder from the parameters of the parent's or a stage's flow run.

    Raises:
        UsageError: If the sweep's name is none that a folder can have, or the settings make no sense.
    """
    brief = parameters.get("brief")
    if brief is not None:
        return Path(brief["folder"] if isinstance(brief, Mapping) else brief.folder)
    name = parameters.get("name")
    if name is None:
        name = name_sweep(str(parameters["config_id"]))
    elif not name.strip() or name != Path(name).name or name == "..":
        raise UsageError(f"{name!r} is no name of a sweep.", "Give --name one folder's name, and --runs-dir its place.")
    runs_dir = parameters.get("runs_dir") or find_runs_dir(
        Path.cwd(), parameters.get("settings"), parameters.get("config_id")
    )
    return Path(runs_dir).absolute() / name


def read_parameters(parameters: Mapping[str, Any], directory: Path) -> AskedSweep:
    """Sort the parameters of the parent flow's run.

    Args:
        parameters: By name, as flat as the flow takes them; None stands for a default.
        directory: Where trainings run, and a relative program is looked for.

    Raises:
        UsageError: If one of them is out of its bounds.
    """
    try:
        return _sort_parameters(parameters, directory)
    except ValidationError as error:
        first = error.errors()[0]
        option = "-".join(str(part) for part in first["loc"]).replace("_", "-")
        why = first["msg"].removeprefix("Value error, ")
        raise UsageError(
            f"--{option} cannot be {first['input']!r}: {why[:1].lower()}{why[1:]}.", "See multistage-sweep --help."
        ) from error


def _sort_parameters(parameters: Mapping[str, Any], directory: Path) -> AskedSweep:
    given = {key: value for key, value in parameters.items() if value is not None}
    request = SweepRequest.model_validate({key: given[key] for key in SweepRequest.model_fields if key in given})
    wishes = RunWishes.model_validate({key: given[key] for key in RunWishes.model_fields if key in given})
    workers = given["workers"] if "workers" in given else _count_workers(request, wishes)
    return AskedSweep(
        request=request,
        options=RunOptions(workers=workers, directory=directory.absolute(), **dict(wishes)),
        folder_path=locate_folder(parameters),
        resume=bool(given.get("resume", False)),
    )


def _count_workers(request: SweepRequest, wishes: RunWishes) -> int:
    """Count the workers that the launcher takes where nobody says how many."""
    return find_kind(wishes.launcher).count_workers(request, wishes, trains_bundled(request))


def check_folder(folder: SweepFolder, resolved: ResolvedRequest, resume: bool) -> State | None:
    """Look whether a sweep may be started, or taken up, in a folder. Writes nothing.

    Returns:
        The state of the sweep to take up; None for a new one.

    Raises:
        FolderError: If a new sweep's folder holds a sweep, or there is none to take up, or its state is damaged, or
            another process drives it.
        UsageError: If a resume would change what the sweep is.
    """
    state = folder.load_state() if resume else folder.read_state()
    if state is None:
        return None
    driver = folder.find_driver()
    if driver not in (None, os.getpid()):
        raise folder.refuse_driver(driver)
    if not resume:
        progress = f"{state.budget_used} of {state.total_budget} runs, {state.status}"
        raise FolderError(
            f"{folder.path} holds a sweep of {state.config_id} already ({progress}).",
            f"Go on with it by `multistage-sweep --resume {folder.state_file}`, look at it with "
            f"`multistage-sweep status {folder.name}`, or start another one with --name.",
        )
    changes = state.settings.compare_identity(resolved.plan.settings, state.has_counted)
    if changes:
        difference = "; ".join(f"{key} was {old!r} and would be {new!r}" for key, (old, new) in changes.items())
        raise UsageError(
            f"A resume cannot change what the sweep is: {difference}.",
            "Leave it as it was, or start another with --name.",
        )
    if resolved.plan.settings.budget < state.settings.budget:
        raise UsageError(
            f"The budget was {state.settings.budget} runs and would be {resolved.plan.settings.budget}; "
            "it can only grow.",
            "Leave --budget as it was, or start another sweep with --name.",
        )
    return state


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
    folder: SweepFolder, request: SweepRequest, resolved: ResolvedRequest, options: RunOptions, resume: bool
) -> State:
    """Write the state that the sweep starts, or goes on, with.

    Raises:
        FolderError: As `check_folder`, or if the folder cannot be written.
        UsageError: As `check_folder`.
    """
    now = datetime.now(UTC)
    settings = resolved.plan.settings
    state = check_folder(folder, resolved, resume)
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
            plan=resolved.plan.stages,
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
