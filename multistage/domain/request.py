"""What a user asks for, as flat and textual as flags and a deployment's parameters are."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from multistage.domain.account import TrackerWish
from multistage.domain.defaults import GUIDE_BUDGET, GUIDE_RESOLUTION
from multistage.domain.model import Model
from multistage.domain.plan import AdoptedSweep, Stage1Method
from multistage.domain.results import Goal
from multistage.domain.sweep_config import make_plain
from multistage.domain.values import write_value


def write_assignments(given: Any) -> Any:
    """Write a table of values as ``key=value`` texts; leaves everything else as it is."""
    if not isinstance(given, Mapping):
        return given
    return tuple(
        f"{key}={write_value(value) if isinstance(value, str | bool | int | float) else value}"
        for key, value in given.items()
    )


Assignments = Annotated[
    tuple[str, ...],
    BeforeValidator(write_assignments),
    WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""``key=value`` texts; a table will do."""


class SweepWishes(Model):
    """What may be asked for beside the config id; everything has a default."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    params: str = ""
    """Swept hyperparameters, such as policy_lr,clip_range:0.1-0.3,lr:log:1e-5-1e-2."""
    budget: int = GUIDE_BUDGET
    """Training runs in all."""
    metric: str | None = None
    """Logged key to optimize, which a program of your own needs; the trainer's own by default."""
    goal: Goal | None = None
    """Which way is better; the trainer's own by default."""
    metric_value: str = "last"
    """A run's value: last, best or mean:N of the logged ones."""
    entity: str | None = None
    """W&B user or team."""
    project: str | None = None
    """W&B project; the config id up to its colon by default."""
    tracker: TrackerWish = "auto"
    """The W&B server; auto takes W&B where the client is logged in, else the embedded one."""
    search: str = "auto"
    """Who proposes: auto, gp, wandb, random, sobol, optuna:tpe, or an installed package's searcher."""
    early_stop: Literal["auto", "hyperband", "none"] = "auto"
    """Whether poor runs of stages 2 and 3 are stopped."""
    program: str | None = None
    """Your own training script."""
    command: str | None = None
    """Another command than W&B's '${env} ${interpreter} ${program} ${args}'."""
    style: str | None = None
    """How your own program takes its parameters: argparse, flags, hyphens, hydra, config, ..."""
    split: str = "30/50/20"
    """Percent of the budget a stage."""
    stage1: Stage1Method = "auto"
    """How stage 1 explores."""
    grid_resolution: Annotated[int, Field(ge=2, le=100)] = GUIDE_RESOLUTION
    """Values a parameter on the grid."""
    finalists: str = "auto"
    """Runs that train contenders again on fresh seeds: auto, a number or a percentage."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Makes the search and the trainings reproducible."""
    seed_param: str | None = None
    """Hyperparameter of your own program that takes each run's seed; bundled trainers have theirs."""
    baseline: Assignments = ()
    """Your own program's usual values of the swept hyperparameters; they are trained first, and race the contenders."""
    train_arg: Assignments = ()
    """Fixed settings of every run."""


class SweepRequest(SweepWishes):
    """The part of a request that `multistage.request.resolution.resolve_request` turns into a sweep's settings."""

    config_id: str
    sweep_file: Annotated[dict[str, Any] | None, BeforeValidator(make_plain)] = None
    """Content of a W&B sweep file, which says what ``params`` would; one of the two is needed."""
    single: bool = False
    """Whether the file's sweep is run as it is, in one stage."""
    adopted: AdoptedSweep | None = None
    """The sweep that is gone on with, where there is one already; ``sweep_file`` is its config then."""
