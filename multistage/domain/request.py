"""What a user asks for, as flat and textual as flags and a deployment's parameters are."""

from typing import Annotated, Literal

from pydantic import Field

from multistage.domain.account import TrackerWish
from multistage.domain.defaults import GUIDE_BUDGET, GUIDE_RESOLUTION
from multistage.domain.model import Model
from multistage.domain.plan import Stage1Method
from multistage.domain.results import Goal


class SweepRequest(Model):
    """The part of a request that `multistage.orchestrator.request.resolve_request` turns into a sweep's settings."""

    config_id: str
    params: str
    budget: int = GUIDE_BUDGET
    metric: str | None = None
    goal: Goal | None = None
    metric_value: str = "last"
    entity: str | None = None
    project: str | None = None
    tracker: TrackerWish = "auto"
    search: Literal["auto", "gp", "wandb"] = "auto"
    early_stop: Literal["auto", "hyperband", "none"] = "auto"
    program: str | None = None
    command: str | None = None
    split: str = "30/50/20"
    stage1: Stage1Method = "auto"
    grid_resolution: Annotated[int, Field(ge=2, le=100)] = GUIDE_RESOLUTION
    finalists: str = "auto"
    seed: Annotated[int, Field(ge=0)] = 0
    train_arg: tuple[str, ...] = ()
