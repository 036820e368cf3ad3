"""Older forms of ``state.json``, and the steps that bring each to the next one.

A step is a pure function from one version's JSON object to the next version's. A new version adds a step and changes
none, so that a file of whatever age goes through all the steps after its own version.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from multistage.domain.runs.results import Config, Value
from multistage.domain.space.defaults import GUIDE_PARAMETERS
from multistage.domain.space.grammar import parse_params
from multistage.domain.sweep.budget import Split, split_budget
from multistage.domain.sweep.plan import STAGES, RunOptions, StageNumber, StagePlan, SweepSettings
from multistage.domain.sweep.request import SweepRequest

SCHEMA_VERSION: Literal[1] = 1
"""The version that this release reads and writes."""

GUIDE_VERSION = 0
"""The Multi-Stage Sweep Guide's own files, which name no version."""
GUIDE_KEYS = frozenset({"config_id", "entity", "project", "params", "metric_name", "total_budget", "stages_completed"})

GUIDE_METHODS: tuple[str, str, str] = ("grid", "bayes", "bayes")

UNKNOWN_TIME = "1970-01-01T00:00:00Z"
"""Stands for the times that the guide's files do not tell."""

Raw = dict[str, Any]


class GuideStage(BaseModel):
    """A finished stage in the guide's file; ``top_configs`` is left out, since the guide does not say what it holds."""

    stage: StageNumber
    sweep_id: str
    runs_completed: int
    best_metric: float
    best_config: Config


class GuideState(BaseModel):
    """The guide's file."""

    config_id: str
    entity: str
    project: str
    params: dict[str, tuple[Value, Value]]
    metric_name: str
    total_budget: Annotated[int, Field(ge=10)]
    budget_used: int = 0
    stages_completed: tuple[GuideStage, ...]


def find_version(raw: Raw) -> object:
    """Return the version of a file's content; None where it is no state at all."""
    found = raw.get("schema_version", GUIDE_VERSION if raw.keys() >= GUIDE_KEYS else None)
    return type(found).__name__ if isinstance(found, list | dict) else found


def upgrade_state(raw: Raw, where: str) -> Raw:
    """Bring a file's content to the present version, step by step; one of an unknown version stays as it is.

    Args:
        raw: The file's JSON object.
        where: The file's path, whose folder names the sweep where the file does not.

    Raises:
        ValidationError: If an older file is damaged.
        UsageError: If an older file's values make no sweep.
    """
    while (version := find_version(raw)) in STEPS:
        raw = STEPS[version](raw, where)
    return raw


def adopt_guide_state(raw: Raw, where: str) -> Raw:
    """Version 0 to 1: fill in how the guide's script ran the sweep, a grid and then W&B's engine on its server.

    Raises:
        ValidationError: If a value of the file is missing or none that it can be.
        UsageError: If its values make no sweep.
    """
    guide = GuideState.model_validate(raw)
    request = SweepRequest(
        config_id=guide.config_id,
        params=",".join(f"{name}:{low}-{high}" for name, (low, high) in guide.params.items()),
        budget=guide.total_budget,
        metric=guide.metric_name,
        entity=guide.entity,
        project=guide.project,
        tracker="wandb",
        search="wandb",
        finalists="0",
    )
    settings = SweepSettings(
        config_id=guide.config_id,
        space=parse_params(request.params, GUIDE_PARAMETERS),
        metric=guide.metric_name,
        budget=guide.total_budget,
        split=Split(),
        search="wandb",
        early_stop="hyperband",
        tracker="wandb",
        server="https://api.wandb.ai",
        entity=guide.entity,
        project=guide.project,
    )
    shares = zip(STAGES, split_budget(guide.total_budget, settings.split), GUIDE_METHODS, strict=True)
    plan = [StagePlan(stage=number, runs=runs, method=method) for number, runs, method in shares]
    best = max(guide.stages_completed, key=lambda stage: stage.best_metric, default=None)
    unknown: Raw = {"best_run": None, "top_configs": [], "started_at": UNKNOWN_TIME, "ended_at": UNKNOWN_TIME}
    folder = Path(where).parent
    return {
        **guide.model_dump(mode="json"),
        "stages_completed": [
            {
                **stage.model_dump(mode="json"),
                **unknown,
                "method": plan[stage.stage - 1].method,
                "bounds": guide.model_dump(mode="json")["params"],
            }
            for stage in guide.stages_completed
        ],
        "schema_version": 1,
        "name": folder.name,
        "uid": "guide",
        "status": "completed" if len(guide.stages_completed) == len(plan) else "stopped",
        "goal": settings.goal,
        "best_metric": best.best_metric if best else None,
        "best_stage": best.stage if best else None,
        "best_config": best.best_config if best else None,
        "plan": [stage.model_dump(mode="json") for stage in plan],
        "request": request.model_dump(mode="json"),
        "settings": settings.model_dump(mode="json"),
        "options": RunOptions(workers=1, directory=folder).model_dump(mode="json"),
        "created_at": UNKNOWN_TIME,
        "updated_at": UNKNOWN_TIME,
    }


STEPS: Mapping[object, Callable[[Raw, str], Raw]] = MappingProxyType({GUIDE_VERSION: adopt_guide_state})
"""By the version that each starts from."""
