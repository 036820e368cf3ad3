"""What a sweep is going to do: its settings, its identity and the budget of each stage."""

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Goal
from multistage.domain.space.layout import Place
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.account import TrackerKind
from multistage.domain.sweep.budget import Split, split_budget
from multistage.errors import BudgetError
from multistage.options.catalogue import SETTLED
from multistage.options.local import LocalOptions
from multistage.options.modal import ModalOptions
from multistage.options.running import ApprovalOptions, ForeignOptions, NotifyOptions, WorkerOptions
from multistage.options.slurm import SlurmOptions
from multistage.options.ssh import SshOptions

StageNumber = Literal[1, 2, 3]
STAGES: tuple[StageNumber, StageNumber, StageNumber] = (1, 2, 3)
HYPERBAND: Mapping[str, Any] = MappingProxyType({"type": "hyperband", "min_iter": 100})
"""Early termination unless a sweep file has its own: 100 rows of the metric before a run may be stopped."""

Proposer = Literal["ours", "server"]
"""Who proposes a sweep's runs: a searcher of ours, which queues them, or the W&B server's own engine."""
OWN_SEARCH = "gp"
SERVER_ENGINE = "wandb"
"""The one search with which the server proposes."""
EarlyStop = Literal["hyperband", "none"]
METHODS: Mapping[str, str] = MappingProxyType({OWN_SEARCH: "gaussian process", SERVER_ENGINE: "bayes"})
"""What stages 2 and 3 do, by search; others go by their own name."""
Stage1Method = Literal["auto", "grid", "sobol"]

NO_PRIOR = "none"

_IDENTITY = (*SETTLED, "server", "layout", "early_terminate", "definition")


def find_proposer(search: str) -> Proposer:
    """Return who proposes with a search."""
    return "server" if search == SERVER_ENGINE else "ours"


class AdoptedSweep(Model):
    """A W&B sweep that was there before, as it was found."""

    sweep_id: str
    state: str
    """W&B's word."""
    runs: int
    """Runs that it had; they are not this sweep's."""
    newest: datetime | None = None
    """When the latest of them was created, by the server's clock."""
    run_cap: int | None = None


class SweepSettings(Model):
    """Everything that was asked for, resolved: no value here depends on the machine or the day."""

    config_id: str
    """What is trained, such as ``CartPole-v1:ppo``: a bundled trainer, or a label beside ``program``."""
    space: SearchSpace
    """The swept hyperparameters with their first bounds."""
    metric: str
    metric_value: str = "last"
    """``last``, ``best`` or ``mean:N``: which of a run's logged values stands for it."""
    goal: Goal = "maximize"
    budget: Annotated[int, Field(ge=1)]
    """Runs in all, finalists included."""
    split: Split
    stage1: Stage1Method = "auto"
    grid_resolution: Annotated[int, Field(ge=2, le=100)] = 5
    prior: str = NO_PRIOR
    """Names of what is known already, with commas between: earlier sweeps, ``field``; or ``none``."""
    prior_configs: tuple[Config, ...] = ()
    """What those spoke for when the sweep began, the most promising first; it stays, whatever becomes of them."""
    search: Annotated[str, Field(min_length=1)] = OWN_SEARCH
    """The searcher's name, with a colon and a variant where it has some; `multistage.search.registry` knows them."""
    early_stop: EarlyStop = "none"
    """Whether the server stops poor runs of stages 2 and 3."""
    early_terminate: dict[str, Any] | None = None
    """How it does, in W&B's words; None where it does not."""
    finalists: Annotated[int, Field(ge=0)] = 0
    """Runs of stage 3 that train contenders again on fresh seeds."""
    seed: int = 0
    seed_parameter: str | None = None
    """Hyperparameter that takes each run's seed; None where the training takes none."""
    program: str | None = None
    """The user's own script; None for a bundled trainer."""
    command: tuple[str, ...] = ()
    """W&B's command with its macros; empty for W&B's default."""
    fixed: Config = Field(default_factory=dict)
    """Settings that every run is trained with."""
    layout: dict[str, Place] = Field(default_factory=dict)
    """Places of hyperparameters, swept or fixed, that are nested or no plain values."""
    baseline: Config = Field(default_factory=dict)
    """The trainer's own defaults of the swept hyperparameters; empty where they are not known."""
    entity: str
    project: str
    tracker: TrackerKind = "embedded"
    server: str | None = None
    """The W&B server's address; None for the embedded one, which chooses its own port."""
    definition: dict[str, Any] | None = None
    """The config of the one W&B sweep that is run as it is; None for three stages of this project's own."""
    adopted: AdoptedSweep | None = None
    """Set where that sweep was there before."""

    @property
    def proposer(self) -> Proposer:
        """Who proposes the runs; by which method is `search`."""
        return find_proposer(self.search)

    @property
    def sweep_id(self) -> str | None:
        """Id of a sweep that was there before."""
        return self.adopted.sweep_id if self.adopted else None

    @model_validator(mode="before")
    @classmethod
    def _name_hyperband(cls, values: Any) -> Any:
        """Early termination without a word of how is the usual one, as in states that were written before."""
        if isinstance(values, Mapping) and values.get("early_stop") == "hyperband":
            return {**values, "early_terminate": values.get("early_terminate") or dict(HYPERBAND)}
        return values

    def identify(self) -> Mapping[str, object]:
        """Return the settings that make this sweep what it is; a resume may not change them."""
        return {**self.model_dump(mode="json", include=set(_IDENTITY)), "sweep_id": self.sweep_id}

    def hash_identity(self) -> str:
        """Return 8 hexadecimal digits that change whenever `identify` does.

        What has its default is left out, so that finished steps are still known after a release with more settings.
        """
        usual = {key: field.get_default(call_default_factory=True) for key, field in type(self).model_fields.items()}
        own = {key: value for key, value in self.identify().items() if getattr(self, key) != usual.get(key)}
        text = json.dumps(own, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def compare_identity(self, other: Self, has_counted: bool = True) -> Mapping[str, tuple[object, object]]:
        """Return what differs in the identities of two sweeps: by setting, this one's and the other's.

        Args:
            other: The other sweep's settings.
            has_counted: Whether any run has counted. Before that, metric and goal are not part of the identity.
        """
        mine, theirs = dict(self.identify()), dict(other.identify())
        if not has_counted:
            for identity in (mine, theirs):
                identity |= {"metric": None, "goal": None}
                if isinstance(definition := identity["definition"], dict):
                    identity["definition"] = {**definition, "metric": None}
        return {key: (mine[key], theirs[key]) for key in mine if mine[key] != theirs[key]}


class RunRequest(
    WorkerOptions, ForeignOptions, ApprovalOptions, NotifyOptions, LocalOptions, ModalOptions, SlurmOptions, SshOptions
):
    """How a sweep is run, as far as that was said: what a resume may change."""


class RunOptions(RunRequest):
    """How a sweep is run."""

    workers: int
    """Workers at once, counted where nobody said how many."""
    directory: Path
    """Where trainings run."""


class StagePlan(Model):
    """What one stage will do."""

    stage: StageNumber
    runs: int
    """The stage's share of the budget, finalists included."""
    method: str
    """How its configs are found, in a word or two. Where the server proposes it is W&B's: grid, random or bayes."""
    grid_points: int = 0
    """Points of the grid among the stage's runs."""
    prior: int = 0
    """Runs for configs that other trainings speak for, after the usual values."""
    finalists: int = 0
    """The stage's last runs, which train contenders again on fresh seeds."""
    defaults: Config = Field(default_factory=dict)
    """The usual values of what is swept, where the stage trains them beside its search: stage 1 in its first run, and
    stage 3 of a sweep without finalists in its last. Empty in stages that do not, and in those of earlier releases."""
    reopened: int = 0
    """How often a resume went on with the stage after it had ended before its runs were used."""


class StageBrief(Model):
    """What the steps of one stage are told."""

    folder: Path
    """The sweep's folder."""
    stage: StagePlan
    box: SearchSpace
    """The ranges that the stage searches."""
    key: str
    """Changes whenever a finished step of this stage would have to be done again."""
    last: bool = False
    """Whether no stage follows, so that nothing is narrowed."""


class SweepPlan(Model):
    """A sweep before it runs."""

    settings: SweepSettings
    stages: tuple[StagePlan, ...]
    """Three; one where a W&B sweep is run as it is."""

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        if sum(stage.runs for stage in self.stages) != self.settings.budget:
            raise ValueError("the stages' runs do not add up to the budget")
        return self


def plan_sweep(settings: SweepSettings) -> SweepPlan:
    """Share the budget among the stages and choose stage 1's method.

    Raises:
        BudgetError: If the grid was asked for and does not fit stage 1's budget.
    """
    if settings.definition is not None:
        whole = StagePlan(stage=1, runs=settings.budget, method=settings.definition["method"])
        return SweepPlan(settings=settings, stages=(whole,))
    share, second, third = split_budget(settings.budget, settings.split)
    first = _plan_stage1(settings, share)
    later = METHODS.get(settings.search, settings.search)
    again = first.defaults if third > 1 and not settings.finalists else {}
    return SweepPlan(
        settings=settings,
        stages=(
            first,
            StagePlan(stage=2, runs=second + share - first.runs, method=later),
            StagePlan(stage=3, runs=third, method=later, finalists=settings.finalists, defaults=again),
        ),
    )


def count_prior(runs: int, defaults: int) -> int:
    """Count stage 1's runs that a prior chooses: half of them.

    Args:
        runs: Of the stage.
        defaults: Those that train the usual values.
    """
    return min(runs // 2, runs - defaults)


def _plan_stage1(settings: SweepSettings, runs: int) -> StagePlan:
    points = settings.space.grid_size(settings.grid_resolution)
    if settings.stage1 == "grid" and points > runs:
        raise BudgetError(
            f"A grid of {points} points does not fit the {runs} runs of stage 1.",
            "Lower --grid-resolution, sweep fewer parameters, raise --budget, or use --stage1 auto.",
        )
    if settings.stage1 == "grid" or (settings.proposer == "server" and points <= runs):
        return StagePlan(stage=1, runs=points, method="grid", grid_points=points)
    if settings.proposer == "server":
        return StagePlan(stage=1, runs=runs, method="random")
    known = min(count_prior(runs, bool(settings.baseline)), len(settings.prior_configs))
    rest = runs - points - bool(settings.baseline) - known
    if settings.baseline and points <= runs and settings.baseline in settings.space.grid(settings.grid_resolution):
        rest += 1  # they are one of its points
    if settings.stage1 == "sobol" or rest < 0:
        return StagePlan(stage=1, runs=runs, method="sobol", prior=known, defaults=settings.baseline)
    method = "grid+sobol" if rest else "grid"
    return StagePlan(stage=1, runs=runs, method=method, grid_points=points, prior=known, defaults=settings.baseline)


def grow_stages(
    stages: tuple[StagePlan, ...], completed: Collection[int], grown: SweepSettings, unused: int = 0
) -> tuple[StagePlan, ...]:
    """Add a larger budget's additional runs to the stages that are not complete, by their split; else to the last.

    Args:
        stages: As they were planned so far.
        completed: Numbers of the stages that are complete; they are not run again.
        grown: The settings with the larger budget.
        unused: Runs that complete stages have left.
    """
    added = max(0, grown.budget - sum(stage.runs for stage in stages) + unused)
    unfinished = [one.stage for one in stages if one.stage not in completed] or [stages[-1].stage]
    shares = {stage: grown.split.shares[stage - 1] for stage in unfinished}
    whole = sum(shares.values())
    extra = {stage: added * share // whole for stage, share in shares.items()}
    by_remainder = sorted(shares, key=lambda stage: -(added * shares[stage] % whole))
    for stage in by_remainder[: added - sum(extra.values())]:
        extra[stage] += 1
    *earlier, last = (stage.model_copy(update={"runs": stage.runs + extra.get(stage.stage, 0)}) for stage in stages)
    finalists = min(grown.finalists, last.runs)
    return *earlier, last.model_copy(update={"finalists": finalists, "defaults": {} if finalists else last.defaults})


def derive_seed(settings: SweepSettings, stage: int, index: int) -> int:
    """Return the seed that a slot's training uses: 31 bits, the same whenever and wherever it is asked for."""
    text = f"{settings.seed}/{stage}/{index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
