"""Configs trained outside a sweep's budget: its best again, or one before it starts.

They have a W&B sweep of their own in the same project, trained by the same launcher, so that what they cost and show is
what the sweep's own runs would. A second call with the same name finds what is done and trains the rest.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from multistage.domain.model import Model
from multistage.domain.plan import StagePlan, SweepSettings
from multistage.domain.results import Config
from multistage.domain.slots import RunRecord
from multistage.errors import LaunchError
from multistage.orchestrator.preparation import AskedSweep, prepare_folder
from multistage.orchestrator.request import ResolvedRequest
from multistage.orchestrator.session import Session, close_session, open_session
from multistage.orchestrator.stage_driver import StageDriver
from multistage.orchestrator.sweep_folder import SweepFolder
from multistage.orchestrator.sweep_tracker import SweepTracker
from multistage.orchestrator.worker_fleet import WorkerFleet
from multistage.search.multistage import StagedSearch
from multistage.wandb_client.sweeps import build_sweep_config, create_sweep, find_sweep, finish_sweep


class Replication(Model):
    """Runs that were trained outside a sweep's budget."""

    url: str
    """Their page."""
    runs: tuple[RunRecord, ...]
    """One for each config that was given, in that order, failed ones too."""


class Mean(Model):
    """What several runs of one config average to."""

    mean: float
    interval: tuple[float, float] | None
    """95% by Student's t; None for a single run."""
    runs: int


class _Given(StagedSearch):
    """A search that knows its configs already.

    Args:
        settings: The sweep.
        configs: What to train.
    """

    def __init__(self, settings: SweepSettings, configs: Sequence[Config]) -> None:
        super().__init__(settings.space, settings.goal, budgets=(len(configs), 0, 0))
        self._configs = list(configs)

    def plan_stage1(self) -> list[Config]:
        """Give the configs."""
        return self._configs


class ReplicatedSweep:
    """A W&B sweep beside those of a multi-stage sweep's stages.

    Args:
        session: The multi-stage sweep, its lock held.
        title: Says which replication of it this is: part of the sweep's name, by which it is found again.
        config: What to train.
        seeds: One a run; where the training takes none, only their number counts.
    """

    def __init__(self, session: Session, title: str, config: Config, seeds: Sequence[int]) -> None:
        self._session = session
        enqueues = session.settings.search == "gp" or session.settings.tracker == "embedded"
        self._settings = session.settings.model_copy(
            update={"early_stop": "none", "seed_parameter": None, "search": "gp" if enqueues else "wandb"}
        )
        parameter = session.settings.seed_parameter
        self._configs = [{**config, parameter: seed} if parameter else dict(config) for seed in seeds]
        self._stage = StagePlan(stage=1, runs=len(seeds), method="sobol")
        name = f"{session.folder.name} {title} ({session.state.uid})"
        found = find_sweep(session.connection, name)
        self._id = found or create_sweep(session.connection, self._describe(name, config, parameter, seeds))
        self.url = f"{session.connection.base_url}/{session.connection.path}/sweeps/{self._id}"

    def _describe(self, name: str, config: Config, parameter: str | None, seeds: Sequence[int]) -> dict[str, Any]:
        described = build_sweep_config(self._settings, self._stage, self._settings.space, name)
        if self._settings.search == "gp":
            return described
        # A server that takes no configs gets constants, and the seeds as a grid.
        parameters: dict[str, Any] = {key: {"value": value} for key, value in (self._settings.fixed | config).items()}
        if parameter is not None:
            parameters[parameter] = {"values": list(seeds)}
        method = "random" if parameter is None else "grid"
        return described | {"method": method, "run_cap": len(seeds), "parameters": parameters}

    def train(self) -> Replication:
        """Train what is not trained yet.

        Raises:
            AllRunsFailedError: Every run failed.
            MetricMissingError: The runs do not log the metric.
            LaunchError: Workers keep dying, or the cost cap lets none start.
        """
        session, sweep = self._session, f"{self._session.connection.path}/{self._id}"
        tracker = SweepTracker(session.connection, self._id, self._settings, self._stage, session.find_server)
        fleet = WorkerFleet(session.roster, sweep)
        driver = StageDriver(
            settings=self._settings,
            stage=self._stage,
            box=self._settings.space,
            earlier=(),
            search=_Given(self._settings, self._configs),
            tracker=tracker,
            fleet=fleet,
            ahead=len(self._configs),
            report=lambda _: None,
            stall_after=session.state.options.stall_after,
        )
        try:
            slots = driver.drive()
        except BaseException:
            session.roster.launcher.stop(session.roster.list_alive(sweep))
            raise
        finish_sweep(session.connection, self._id)
        session.roster.dismiss()
        if fleet.exhausted:
            raise LaunchError(
                "The sweep's cost cap lets no further worker start.", "Raise --max-cost on a resume first."
            )
        return Replication(url=self.url, runs=tuple(slots[index].decisive for index in sorted(slots)))


def average(values: Sequence[float]) -> Mean | None:
    """Average the values of several runs of one config; None where there are none."""
    if not values:
        return None
    mean = float(np.mean(values))
    if len(values) == 1:
        return Mean(mean=mean, interval=None, runs=1)
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return Mean(mean=mean, interval=(mean - half, mean + half), runs=len(values))


@contextlib.contextmanager
def open_canary(asked: AskedSweep, resolved: ResolvedRequest) -> Iterator[ReplicatedSweep]:
    """Make one run ready with a sweep's settings, before there is that sweep; no folder of it is left.

    It trains the usual values of the swept hyperparameters where they are known, else the middle of their ranges.

    Args:
        asked: The sweep.
        resolved: Its settings.
    """
    settings = resolved.plan.settings
    config = settings.baseline or settings.space.from_unit([0.5] * len(settings.space))
    with tempfile.TemporaryDirectory(prefix="multistage-canary-") as place:
        folder = SweepFolder(Path(place) / asked.folder.name)
        prepare_folder(folder, asked.request, resolved, asked.options.model_copy(update={"workers": 1}), resume=False)
        try:
            yield ReplicatedSweep(open_session(folder.path), "canary", config, [settings.seed])
        finally:
            close_session(folder.path)
