"""The versioned content of ``state.json``: the guide's keys, and what else people and tools need.

The file mirrors the truth, which lies with the tracker (runs) and Prefect (finished tasks). It holds no secret.
"""

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Value
from multistage.domain.space.narrowing import ParameterNarrowing
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import RunOptions, StageNumber, StagePlan, SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.sweep.state_versions import SCHEMA_VERSION, find_version, upgrade_state
from multistage.domain.workers.cost import Cost
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.errors import FolderError, UsageError

SweepStatus = Literal["running", "completed", "failed", "stopped"]


class TopConfig(Model):
    """One of the configs that a stage hands on."""

    config: Config
    value: float
    run_id: str


CutShort = Literal["deadline", "cost cap"]
"""What may end a stage before its runs are used; a resume goes on with it."""


class StageCount(Model):
    """How a stage's slots ended."""

    used: int
    failed: int
    attempts_lost: int
    cut_short: CutShort | None = None


class Approval(Model):
    """Who let the next stage begin."""

    by: Literal["person", "timeout"]
    edited: tuple[str, ...] = ()
    """Parameters whose ranges a person changed."""
    at: datetime


class PendingApproval(Model):
    """What waits for a person."""

    stage: StageNumber
    """The stage that would begin."""
    proposed: dict[str, str]
    """Its ranges, as the form has them."""
    url: str
    """Where the form is."""
    until: datetime | None = None
    """When it is decided without them; None: never."""


class StageRecord(Model):
    """A finished stage."""

    stage: StageNumber
    sweep_id: str
    runs_completed: int
    """Slots used: the stage's share of the budget."""
    best_metric: float | None
    best_config: Config | None
    best_run: str | None
    top_configs: tuple[TopConfig, ...]
    method: str
    bounds: dict[str, list[Value]]
    """The box that the stage searched."""
    narrowing: tuple[ParameterNarrowing, ...] = ()
    """What the next stage's box became, with the evidence; empty after stage 3."""
    next_space: SearchSpace | None = None
    """The next stage's box; None after stage 3."""
    approval: Approval | None = None
    """Of that box; None where nobody was asked."""
    runs_failed: int = 0
    attempts_lost: int = 0
    """Runs that the machine lost; their slots were trained again."""
    cut_short: CutShort | None = None
    """What ended the stage before its runs were used."""
    started_at: datetime
    ended_at: datetime


class StageProgress(Model):
    """The stage that is running."""

    stage: StageNumber
    sweep_id: str | None = None
    sweep_url: str | None = None
    runs: int
    used: int = 0
    running: int = 0
    queued: int = 0
    failed: int = 0
    attempts_lost: int = 0
    waiting: str = ""
    """How many of its workers wait to begin, and why; empty where none does."""
    best_metric: float | None = None
    best_config: Config | None = None
    started_at: datetime


Verdict = Literal["improvement", "unclear", "no improvement", "not compared"]
"""Of the recommended config against the defaults: better with a probability of 90% or more; better, with less; the
defaults themselves did best; the defaults were not trained."""


class Recommended(Model):
    """The config that the sweep stands for, and the evidence for it."""

    config: Config
    mean: float
    """Expected value of a new run of this config: shrunken, so usually below the highest value seen."""
    interval: tuple[float, float]
    """95% interval of that mean."""
    seeds: int
    """Runs of exactly this config."""
    probability_better_than_defaults: float | None = None
    verdict: Verdict = "not compared"


class State(Model):
    """All of ``state.json``. The first ten keys are the guide's."""

    config_id: str
    entity: str
    project: str
    params: dict[str, list[Value]]
    metric_name: str
    total_budget: int
    budget_used: int = 0
    stages_completed: tuple[StageRecord, ...] = ()

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str
    uid: str
    """Distinguishes this sweep from an earlier one of the same name, in the tracker too."""
    status: SweepStatus = "running"
    ended_because: str | None = None
    goal: Literal["maximize", "minimize"]
    best_metric: float | None = None
    """The best value seen, which is a maximum over noise."""
    best_stage: int | None = None
    best_config: Config | None = None
    best_run: str | None = None
    recommended: Recommended | None = None
    current_stage: StageProgress | None = None
    pending_approval: PendingApproval | None = None
    """A person is waited for between two stages."""
    plan: Annotated[tuple[StagePlan, ...], Field(min_length=1, max_length=3)]
    """Its stages: three, or one where a W&B sweep is run as it is."""
    request: SweepRequest
    """What was asked for; a resume asks for it again."""
    settings: SweepSettings
    options: RunOptions
    tracker_url: str | None = None
    prefect_url: str | None = None
    page_url: str | None = None
    """The page that shows all of it, live, on this machine's W&B server; a browser logs in there."""
    flow_run_id: str | None = None
    """The Prefect flow run that drives it, or drove it last."""
    flow_runs: tuple[str, ...] = ()
    """Every flow run that has driven it."""
    workers: tuple[WorkerRecord, ...] = ()
    cost: Cost | None = None
    """Of workers that are paid for; None where there were none."""
    created_at: datetime
    updated_at: Annotated[datetime, Field(description="Last write of this file.")]

    @property
    def has_counted(self) -> bool:
        """Whether any run has a value, so that the metric can be changed no more."""
        current = self.current_stage
        return bool(self.stages_completed) or (current is not None and current.best_metric is not None)

    def was_driven_by(self, flow_run_id: str) -> bool:
        """Return whether a flow run has driven this sweep before, so that it is a retry and takes the sweep up."""
        return flow_run_id in (*self.flow_runs, self.flow_run_id)


def parse_state(text: str, where: str) -> State:
    """Read a ``state.json``, of whatever version; see `multistage.domain.sweep.state_versions`.

    Args:
        text: The file's content.
        where: The file's path, for the error.

    Raises:
        FolderError: If it is not valid JSON, of a newer schema version, or its content is damaged.
    """
    hint = "The file is left as it is: fix it or move it away, or start another sweep with --name."
    try:
        raw: Any = json.loads(text)
        return _read_version(raw, where, hint)
    except ValueError as error:
        raise FolderError(f"{where} is damaged: {error}.", hint) from error
    except RecursionError as error:
        raise FolderError(f"{where} is damaged: it is nested too deeply.", hint) from error


def _read_version(raw: Any, where: str, hint: str) -> State:
    if not isinstance(raw, dict):
        raise FolderError(f"{where} is damaged: it does not hold a JSON object.", hint)
    version = find_version(raw)
    try:
        raw = upgrade_state(raw, where)
        if find_version(raw) == SCHEMA_VERSION:
            return State.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise FolderError(f"{where} is damaged at {place or 'its top'}: {first['msg']}.", hint) from error
    except UsageError as error:
        raise FolderError(f"{where} does not hold a sweep: {error.message}", hint) from error
    newer = isinstance(version, int) and version > SCHEMA_VERSION
    raise FolderError(
        f"{where} has schema version {version!r:.40}, and this release reads up to {SCHEMA_VERSION}.",
        "A newer release wrote it: update multistage-sweep. The file is left as it is." if newer else hint,
    )


def format_state(state: State) -> str:
    """Write a ``state.json``: indented JSON, the guide's keys first. NaN and infinity become null."""
    return state.model_dump_json(indent=2) + "\n"
