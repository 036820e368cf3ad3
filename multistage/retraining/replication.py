"""Configs trained outside a sweep's budget: its best again, or one before it starts.

They have a W&B sweep of their own in the same project, trained by the same launcher, so that what they cost and show is
what the sweep's own runs would. A second call with the same name finds what is done and trains the rest.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from multistage.domain.runs.results import Config, Evaluation, Value
from multistage.domain.runs.slots import Slots
from multistage.domain.space.parameters import CategoricalParameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import OWN_SEARCH, SERVER_ENGINE, StagePlan, SweepSettings
from multistage.driver.launching import stop_workers
from multistage.driver.open_sessions import close_session, open_session
from multistage.driver.roster import add_up
from multistage.driver.session import Session
from multistage.driver.stage_driver import StageDriver
from multistage.driver.sweep_tracker import SweepTracker
from multistage.driver.worker_fleet import WorkerFleet
from multistage.errors import LaunchError
from multistage.request.preparation import prepare_folder
from multistage.request.resolved_sweep import ResolvedSweep
from multistage.search.base import Searcher, SearchProblem
from multistage.search.multistage import StagedSearch
from multistage.store.sweep_folder import SweepFolder
from multistage.training.catalogue import find_bundled
from multistage.wandb_client.slot_ledger import SlotLedger
from multistage.wandb_client.sweep_calls import (
    build_sweep_config,
    create_sweep,
    find_sweep,
    finish_sweep,
    take_up_sweep,
)


class GivenConfigs(StagedSearch):
    """A search that knows its configs already.

    Args:
        settings: The sweep.
        configs: What to train.
    """

    def __init__(self, settings: SweepSettings, configs: Sequence[Config]) -> None:
        super().__init__(SearchProblem(space=settings.space, goal=settings.goal, budgets=(len(configs), 0, 0)))
        self._configs = list(configs)

    def plan(self) -> Sequence[Config]:
        """Return the configs."""
        return self._configs

    def suggest(
        self, box: SearchSpace, evaluations: Sequence[Evaluation], pending: Sequence[Config], count: int
    ) -> Sequence[Config]:
        """Suggest no others."""
        del box, evaluations, pending, count
        return ()


class SideSweep:
    """A W&B sweep beside those of a multi-stage sweep's stages, trained as theirs are.

    Args:
        session: The multi-stage sweep, its lock held.
        title: Says which side sweep of it this is: part of the sweep's name, by which it is found again.
        settings: The multi-stage sweep's, with what is different here.
        stage: The number of runs, and how they are found.
        search: Proposes the configs, where the server takes them.
        box: The ranges that it searches; those of the multi-stage sweep by default.
    """

    def __init__(
        self,
        session: Session,
        title: str,
        settings: SweepSettings,
        stage: StagePlan,
        search: Searcher,
        box: SearchSpace | None = None,
    ) -> None:
        self._session = session
        settings = settings.model_copy(update={"definition": None, "adopted": None})
        self._settings = settings
        self._stage = stage
        self._search = search
        name = f"{session.folder.name} {title} ({session.state.uid})"
        config = build_sweep_config(settings, stage, box or settings.space, name)
        found = find_sweep(session.connection, name)
        if found is not None:
            take_up_sweep(session.connection, found, config)
        self._id = found or create_sweep(session.connection, config)
        self.url = f"{session.connection.base_url}/{session.connection.path}/sweeps/{self._id}"

    def train(self, report: Callable[[Slots], None] = lambda _: None) -> Slots:
        """Train what is not trained yet.

        Args:
            report: Told of every change.

        Returns:
            The slots by index, all of them used.

        Raises:
            AllRunsFailedError: Every run failed.
            MetricMissingError: The runs do not log the metric.
            LaunchError: Workers keep dying, or the cost cap lets none start.
        """
        session, sweep = self._session, self._path
        fleet = WorkerFleet(session.roster, sweep)
        ledger = SlotLedger(session.folder.locate_ledger(self._id)) if self._settings.proposer == "ours" else None
        driver = StageDriver(
            settings=self._settings,
            stage=self._stage,
            box=self._settings.space,
            earlier=(),
            search=self._search,
            tracker=SweepTracker(
                session.connection, self._id, self._settings, self._stage, session.find_server, ledger=ledger
            ),
            fleet=fleet,
            ahead=session.state.options.workers,
            report=report,
            stall_after=session.state.options.stall_after,
        )
        try:
            slots = driver.drive()
        except BaseException:
            self._end_workers()
            raise
        finish_sweep(session.connection, self._id)
        session.roster.end_workers()
        if fleet.exhausted:
            raise LaunchError("The cost cap lets no further worker start.", "Raise it by a resume with --max-cost.")
        return slots

    @property
    def _path(self) -> str:
        return f"{self._session.connection.path}/{self._id}"

    @property
    def dollars(self) -> float | None:
        """What its containers have cost, now and before; None on this machine."""
        cost = self._session.state.cost
        return None if cost is None else sum(stage.dollars for stage in cost.stages if stage.sweep == self._path)

    def _end_workers(self) -> None:
        session, workers = self._session, self._session.roster.workers
        ended = stop_workers([worker for worker in workers if worker.sweep == self._path], session.folder.logs)
        others = [worker for worker in workers if worker.sweep != self._path]
        session.update_state(**add_up(session.state, [*others, *ended], {}))


def takes_configs(session: Session) -> bool:
    """Whether the sweep's server takes configs that this project proposes."""
    return session.settings.proposer == "ours" or session.settings.tracker == "embedded"


def plan_beside(session: Session) -> SweepSettings:
    """Return the settings of a side sweep: the multi-stage sweep's, and no run is stopped early."""
    search = OWN_SEARCH if takes_configs(session) else SERVER_ENGINE
    return session.settings.model_copy(update={"early_stop": "none", "early_terminate": None, "search": search})


def find_seed_parameter(session: Session) -> str | None:
    """Find what the training takes its seed as; None where it takes none, or a fixed one."""
    settings = session.settings
    bundled = "seed" if find_bundled(settings) else None
    parameter = settings.seed_parameter or session.state.request.seed_param or bundled
    return None if parameter in settings.fixed or parameter in settings.space else parameter


def replicate(session: Session, title: str, config: Config, seeds: Sequence[int]) -> SideSweep:
    """Train one config again.

    Args:
        session: The multi-stage sweep, its lock held.
        title: Says which replication of it this is.
        config: What to train.
        seeds: One a run; where the training takes none, only their number counts.
    """
    takes, parameter = takes_configs(session), find_seed_parameter(session)
    settings = plan_beside(session).model_copy(update={"seed_parameter": None})
    configs = [{**config, parameter: seed} if parameter else dict(config) for seed in seeds]
    choices: dict[str, Sequence[Value]] = {name: (value,) for name, value in config.items()}
    if parameter is not None:
        choices[parameter] = seeds
    box = SearchSpace(
        parameters=tuple(CategoricalParameter(name=name, choices=tuple(values)) for name, values in choices.items())
    )
    # A server that takes no configs searches a box of this one alone: all its seeds, or itself again and again.
    method = "sobol" if takes else "random" if parameter is None else "grid"
    stage = StagePlan(stage=1, runs=len(seeds), method=method)
    return SideSweep(session, title, settings, stage, GivenConfigs(settings, configs), box)


@contextlib.contextmanager
def open_canary(sweep: ResolvedSweep) -> Iterator[SideSweep]:
    """Make one run ready with a sweep's settings, before there is that sweep; no folder of it is left.

    It trains the usual values of the swept hyperparameters where they are known, else the middle of their ranges.

    Args:
        sweep: The sweep.
    """
    settings = sweep.plan.settings
    config = settings.baseline or settings.space.from_unit([0.5] * len(settings.space))
    with tempfile.TemporaryDirectory(prefix="multistage-canary-") as place:
        folder = SweepFolder(Path(place) / sweep.folder.name)
        prepare_folder(folder, sweep.request, sweep.plan, sweep.options.model_copy(update={"workers": 1}), resume=False)
        try:
            yield replicate(open_session(folder.path), "canary", config, [settings.seed])
        finally:
            close_session(folder.path)
