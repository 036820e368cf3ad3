"""What the steps of one sweep share within a process: its folder and state, its connection, its search, its workers."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multistage.domain.runs.slots import Slots
from multistage.domain.runs.vigilance import Intake
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import StageNumber, StagePlan
from multistage.domain.sweep.state import CutShort, Recommended, StageCount, StageProgress, StageRecord, State
from multistage.domain.workers.cost import Cost
from multistage.driver.launching import fetch_prices, open_launcher
from multistage.driver.page_evidence import PageEvidence
from multistage.driver.roster import Roster, end_workers
from multistage.driver.search_problem import pose_problem
from multistage.driver.stage_driver import StageDriver, measure_progress
from multistage.driver.stage_log import StageLog
from multistage.driver.stage_results import StageResults
from multistage.driver.sweep_page import PageKeeper
from multistage.driver.sweep_tracker import SweepTracker
from multistage.driver.worker_access import grant_access
from multistage.driver.worker_fleet import WorkerFleet
from multistage.errors import TrackerError
from multistage.launchers.base import Launcher
from multistage.launchers.variables_file import remove_variables
from multistage.report.links import link_sweep
from multistage.report.story import describe_stage_start
from multistage.search.registry import create_searcher
from multistage.services.tracker_server import find_server
from multistage.store.journal import Journal
from multistage.store.sweep_folder import SweepFolder, write_atomically
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.run_archive import RunArchive
from multistage.wandb_client.sweep_calls import end_sweep
from multistage.worker.conventions import CHECKPOINTS_VARIABLE

if TYPE_CHECKING:
    from multistage.report.data import ReportData

COST_CAP = "cost cap"
"""Why a sweep ended that could pay no further worker."""

logger = logging.getLogger(__name__)


class Session:
    """One sweep, opened.

    Args:
        folder: Where its state lies.
    """

    def __init__(self, folder: SweepFolder) -> None:
        self.folder = folder
        self._journal = Journal(folder)
        self._page: PageKeeper | None = None
        self.settings = self.state.settings
        self.connection = self._connect()
        self.search = create_searcher(self.settings.search, pose_problem(self.state))
        self.roster = Roster(self._journal, self._open_launcher())
        self.results = StageResults(self.folder, lambda: self.state, lambda: self.connection, self._show_slots)

    @property
    def state(self) -> State:
        """The sweep's state as it stands."""
        return self._journal.state

    def _connect(self) -> Connection:
        base_url, key = self.find_server()
        self._worker_environment = dict(grant_access(self.state, base_url, key))
        if self.state.options.resumable:
            self._worker_environment[CHECKPOINTS_VARIABLE] = str(self.folder.checkpoints)
        if self.settings.program is not None:
            # This process keeps wandb quiet; a script of the user's own shows what it always shows.
            self._worker_environment |= {"WANDB_SILENT": "false", "WANDB_CONSOLE": "auto"}
        if self.state.tracker_url != base_url:
            self.update_state(tracker_url=base_url)
        return Connection(base_url, key, self.settings.entity, self.settings.project)

    def find_server(self) -> tuple[str, str]:
        """Find the server and its key; start the embedded one where it is not there."""
        return find_server(self.settings.tracker)

    def follow_server(self) -> bool:
        """Find the server; where it came back at another address, go on there, and tell so.

        Workers know the old address for as long as they live: they are ended, and others are started when they are
        needed.

        Raises:
            ServiceError: If the embedded server does not start.
            LaunchError: If a worker cannot be ended.
        """
        before, (now, _) = self.connection.base_url, self.find_server()
        if now == before:
            return False
        logger.warning("The W&B server of %s is at %s now; the sweep goes on there, with new workers.", before, now)
        self.update_state(**end_workers(self.state, self.folder.logs))
        self.connection = self._connect()
        self.roster.launcher.close()
        self.roster.launcher = self._open_launcher()
        if self._page is not None:
            self.update_state(page_url=self._page.find() or None)
        return True

    def _open_launcher(self) -> Launcher:
        if self.state.cost is None and (prices := fetch_prices(self.state.options)):
            self.update_state(cost=Cost(rates=prices))
        return open_launcher(
            self.settings,
            self.state.options,
            self.folder.logs,
            self._worker_environment,
            self.state.cost.rates if self.state.cost else None,
            lambda: self.state.workers,
        )

    def update_state(self, **changes: Any) -> State:
        """Change ``state.json`` and what this session knows of it."""
        state = self._journal.update(**changes)
        if self._page is not None:
            self._page.touch()
        return state

    def show_page(self) -> None:
        """Keep the sweep's page up to date from now on, until the session is closed."""
        # A searcher of its own: the page's thread asks it while the stages' asks the other.
        judge = create_searcher(self.settings.search, pose_problem(self.state)).recommend
        evidence = PageEvidence(judge, self.roster.explain_failure)
        self._page = PageKeeper(self._journal, evidence, self.folder.resume_command)
        self.update_state(page_url=self._page.open() or None)

    def _show_slots(self, stage: StageNumber, slots: Slots) -> None:
        if self._page is not None:
            self._page.see(stage, slots)

    def prepare_workers(self) -> None:
        """Begin to make workers ready while the first steps go on, where any will be needed.

        Raises:
            LaunchError: What another launcher, or interpreter, has left at work cannot be ended.
        """
        self.roster.end_strangers(self.folder.logs)
        if self.state.budget_used < self.state.total_budget:
            self.roster.launcher.prepare()

    def name_sweep(self, stage: StageNumber) -> str:
        """Name the stage's sweep as no other sweep in the tracker is named."""
        if len(self.state.plan) == 1:
            return f"{self.folder.name} ({self.state.uid})"
        return f"{self.folder.name} stage {stage} ({self.state.uid})"

    def begin_stage(self, stage: StagePlan, sweep_id: str) -> StageProgress:
        """Note in the state that a stage runs; goes on counting where it is there already."""
        current = self.state.current_stage
        if current is None or current.sweep_id != sweep_id:
            current = StageProgress(
                stage=stage.stage,
                sweep_id=sweep_id,
                sweep_url=link_sweep(self.state, sweep_id),
                runs=stage.runs,
                started_at=datetime.now(UTC),
            )
            logger.info("%s", describe_stage_start(self.update_state(current_stage=current, status="running"), current))
        return current

    def drive_stage(
        self, stage: StagePlan, box: SearchSpace, sweep_id: str, watch: Callable[[StageProgress, Slots], None]
    ) -> StageCount:
        """Work until every slot of a stage is used, see `StageDriver.drive`; ``watch`` is told of every look."""
        log = StageLog(self.state, self.begin_stage(stage, sweep_id))
        overdue = self._watch_deadline()
        earlier = self.results.read_before(stage.stage)
        fleet = WorkerFleet(self.roster, f"{self.connection.path}/{sweep_id}")
        driver = StageDriver(
            settings=self.settings,
            stage=stage,
            box=box,
            earlier=earlier,
            search=self.search,
            tracker=SweepTracker(
                self.connection,
                sweep_id,
                self.settings,
                stage,
                self._revive,
                prior_runs=[one.run_id for one in earlier],
                archive=RunArchive(self.folder.locate_archive(sweep_id)),
                ledger=self.results.open_ledger(sweep_id),
                planned=self.search.plan() if stage.stage == 1 and self.settings.proposer == "ours" else (),
            ),
            fleet=fleet,
            ahead=self.state.options.workers,
            report=lambda slots: self._report_progress(watch, log, slots, fleet, driver.intake),
            resumable=self.state.options.resumable,
            warn=logger.warning,
            stall_after=self.state.options.stall_after,
            is_overdue=overdue,
            go_on=self.folder.resume_command,
        )
        slots = driver.drive()
        used = [slot for slot in slots.values() if slot.status == "used"]
        cut_short: CutShort | None = None
        if fleet.exhausted:
            cut_short = "cost cap"
            self.update_state(ended_because=COST_CAP)
        elif len(used) < stage.runs and overdue():
            cut_short = "deadline"
            self.roster.launcher.stop(self.roster.list_alive(f"{self.connection.path}/{sweep_id}"))
            self.update_state(ended_because=f"stage {stage.stage}'s deadline")
        self.results.keep(stage.stage, slots)
        return StageCount(
            used=len(used),
            failed=sum(slot.outcome == "failed" for slot in used),
            attempts_lost=sum(slot.lost for slot in slots.values()),
            cut_short=cut_short,
        )

    def end_stage(self, sweep_id: str) -> None:
        """End a stage's sweep; one that was there before is left as it was found, by this sweep's own workers too."""
        adopted = self.settings.adopted
        if adopted is not None:  # opened again, it would have work for them without end
            self.roster.launcher.stop(self.roster.list_alive(f"{self.connection.path}/{sweep_id}"))
        end_sweep(self.connection, sweep_id, adopted)

    def _watch_deadline(self) -> Callable[[], bool]:
        """Return a check for whether the stage's deadline has passed; it counts from now, and a resume has its own."""
        deadline = self.state.options.stage_deadline
        if deadline is None:
            return lambda: False
        ends_at = time.monotonic() + deadline
        return lambda: time.monotonic() > ends_at

    def _revive(self) -> None:
        """Look for a server that does not answer, and tell the page of it.

        Raises:
            TrackerError: It is elsewhere now, so that the step has to be begun again.
            ServiceError: If the embedded server does not start.
        """
        before = self.connection.base_url
        if self._page is not None:
            self._page.see_absence(f"{before} could not be reached.")
        if self.follow_server():
            raise TrackerError(f"The W&B server has left {before} for {self.connection.base_url}.", "Begin anew there.")

    def _report_progress(
        self,
        watch: Callable[[StageProgress, Slots], None],
        log: StageLog,
        slots: Slots,
        fleet: WorkerFleet,
        intake: Intake,
    ) -> None:
        self.roster.learn(slots)
        before = self.state.current_stage
        if self._page is not None and before is not None:
            self._page.see(before.stage, slots, fleet.present, fleet.exhausted, intake)
        if before is None:
            return
        waiting = self.roster.explain_waiting(f"{self.connection.path}/{before.sweep_id}")
        now = measure_progress(before, slots, self.settings.goal).model_copy(update={"waiting": waiting})
        if waiting and waiting != before.waiting:
            logger.info("Stage %d: %s", now.stage, waiting)
        if now != before:
            done = sum(record.runs_completed for record in self.state.stages_completed if record.stage != now.stage)
            log.note(self.update_state(current_stage=now, budget_used=done + now.used), slots)
        watch(now, slots)

    def complete_stage(self, record: StageRecord) -> State:
        """Add a finished stage to the state."""
        stages = (*(one for one in self.state.stages_completed if one.stage != record.stage), record)
        stages = tuple(sorted(stages, key=lambda one: one.stage))
        better = max if self.settings.goal == "maximize" else min
        valued = [stage for stage in stages if stage.best_metric is not None]
        best = better(valued, key=lambda one: one.best_metric or 0.0, default=None)
        return self.update_state(
            stages_completed=stages,
            current_stage=None,
            budget_used=sum(stage.runs_completed for stage in stages),
            best_metric=best.best_metric if best else None,
            best_stage=best.stage if best else None,
            best_config=best.best_config if best else None,
            best_run=best.best_run if best else None,
        )

    def complete_sweep(self) -> State:
        """Settle what the sweep recommends, and end it."""
        found = self.search.recommend(self.results.read_before(4))
        recommended = Recommended.model_validate(found.model_dump()) if found else None
        self.roster.end_workers()
        remove_variables(self.folder.logs)
        return self.update_state(
            recommended=recommended,
            status="completed",
            ended_because=self.state.ended_because or "budget used",
            current_stage=None,
        )

    def collect_report(self) -> "ReportData":
        """Read what the report shows.

        Raises:
            TrackerError: If the runs cannot be read.
        """
        from multistage.report.collection import collect_report

        return collect_report(self.connection, self.state, self.folder)

    def write_report(self, data: "ReportData") -> Path:
        """Write ``report.html``, one page that needs no network; returns its path.

        Raises:
            FolderError: If the file cannot be written.
        """
        from multistage.report.page import build_report

        path = self.folder.path / "report.html"
        write_atomically(path, build_report(data))
        return path

    def close(self) -> None:
        """Free what this process holds."""
        if self._page is not None:
            self._page.close()
        self.roster.launcher.close()
