"""What the steps of one sweep share within a process: its folder and state, its connection, its search, its workers.

Tasks open the session by the sweep's folder, so that a task may start in whatever process resumes the sweep.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from multistage.domain.plan import StageNumber, StagePlan
from multistage.domain.results import Config, Evaluation, Value
from multistage.domain.slots import RunRecord, Slot, SlotName, evaluate_slot, settle_slots
from multistage.domain.space import SearchSpace
from multistage.domain.state import Recommended, StageCount, StageProgress, StageRecord, State
from multistage.domain.workers import WorkerRecord
from multistage.errors import LaunchError
from multistage.launchers.launcher import Launcher
from multistage.launchers.local import LocalLauncher
from multistage.search.multistage import StagedSearch
from multistage.services import ensure_wandb_server
from multistage.settings import Settings
from multistage.stage_driver import StageDriver, measure_progress
from multistage.sweep_folder import SweepFolder
from multistage.training.catalogue import find_trainer
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.runs import RunReader
from multistage.wandb_client.sweeps import enqueue_run, open_sweep

LOCAL_INTERVAL = 0.3
"""Seconds between two looks at a server on this machine."""
REMOTE_INTERVAL = 10.0
"""Seconds between two looks at any other server."""
LAUNCHES_WITHOUT_PROGRESS = 3
"""So many times the fleet may be started without any run moving before the sweep is given up."""

_sessions: dict[Path, "Session"] = {}


def open_session(folder: Path) -> "Session":
    """Give this process's session of a sweep, opening it at the first call.

    Raises:
        FolderError: If the folder holds no readable state.
        ServiceError: If the embedded server does not start.
    """
    folder = folder.absolute()
    if folder not in _sessions:
        _sessions[folder] = Session(SweepFolder(folder))
    return _sessions[folder]


def close_session(folder: Path) -> None:
    """Let go of a sweep; workers and services stay."""
    session = _sessions.pop(folder.absolute(), None)
    if session is not None:
        session.close()


def stop_sweep(folder: Path, status: Literal["failed", "stopped"], reason: str) -> None:
    """End a sweep's workers, with every training below them, and note why in its state.

    Needs nothing but the folder, so that any process can do it; done twice, it does nothing more.
    """
    session = _sessions.get(folder.absolute())
    sweep_folder = session.folder if session else SweepFolder(folder)
    state = session.state if session else sweep_folder.read_state()
    if state is None or state.status == "completed":
        return
    launcher = session.launcher if session else LocalLauncher(sweep_folder.logs)
    launcher.stop(state.workers)
    changes = {"workers": (), "status": status, "ended_because": state.ended_because or reason[:1000] or None}
    if session:
        session.update_state(**changes)
    else:
        sweep_folder.write_state(state.model_copy(update={**changes, "updated_at": datetime.now(UTC)}))


class Session:
    """One sweep, opened.

    Args:
        folder: Where its state lies.
    """

    def __init__(self, folder: SweepFolder) -> None:
        self.folder = folder
        self.state = folder.load_state()
        self.settings = self.state.settings
        self.connection = self._connect()
        first, second, third = self.state.plan
        self.search = StagedSearch(
            self.settings.space,
            self.settings.goal,
            budgets=(first.runs, second.runs, third.runs),
            finalists=third.finalists,
            defaults=self.settings.baseline or None,
            stage1=self.settings.stage1,
            resolution=self.settings.grid_resolution,
            seed=self.settings.seed,
        )
        self.launcher: Launcher = self._open_launcher()
        self._evaluations: dict[int, tuple[Evaluation, ...]] = {}

    def _connect(self) -> Connection:
        server = ensure_wandb_server(Settings())
        connection = Connection(server.url, server.key, self.settings.entity, self.settings.project)
        self._worker_environment = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": server.key}
        if self.state.tracker_url != server.url:
            self.update_state(tracker_url=server.url)
        return connection

    def _open_launcher(self) -> Launcher:
        bundled = find_trainer(self.settings.config_id) if self.settings.program is None else None
        return LocalLauncher(
            self.folder.logs,
            environment=self._worker_environment,
            idle=self.state.options.worker_idle,
            config_id=bundled.config_id if bundled else None,
            directory=self.state.options.directory,
        )

    @property
    def interval(self) -> float:
        """Seconds between two looks at the tracker."""
        host = urlsplit(self.connection.base_url).hostname or ""
        return LOCAL_INTERVAL if host in ("127.0.0.1", "localhost", "::1") else REMOTE_INTERVAL

    def update_state(self, **changes: Any) -> State:
        """Change ``state.json`` and what this session knows of it."""
        self.state = self.state.model_copy(update={**changes, "updated_at": datetime.now(UTC)})
        self.folder.write_state(self.state)
        return self.state

    def name_sweep(self, stage: StageNumber) -> str:
        """Give the stage's sweep a name that no other sweep in the tracker has."""
        return f"{self.folder.name} stage {stage} ({self.state.uid})"

    def read_evaluations(self, stage: StagePlan, sweep_id: str) -> Sequence[Evaluation]:
        """Read the used slots of a stage's sweep; from memory where this process drove it."""
        if stage.stage not in self._evaluations:
            reader = RunReader(self.connection, sweep_id, self.settings, stage)
            reader.read()
            self._keep_evaluations(stage, settle_slots(reader.records.values()))
        return self._evaluations[stage.stage]

    def _keep_evaluations(self, stage: StagePlan, slots: Mapping[int, Slot]) -> None:
        found = (evaluate_slot(stage.stage, slot) for slot in slots.values())
        self._evaluations[stage.stage] = tuple(evaluation for evaluation in found if evaluation is not None)

    def read_earlier(self, stage: int) -> Sequence[Evaluation]:
        """Read the used slots of all stages before this one."""
        done = [record for record in self.state.stages_completed if record.stage < stage]
        return [
            evaluation
            for record in done
            for evaluation in self.read_evaluations(self.state.plan[record.stage - 1], record.sweep_id)
        ]

    def begin_stage(self, stage: StagePlan, sweep_id: str) -> StageProgress:
        """Note in the state that a stage runs; goes on counting where it is there already."""
        current = self.state.current_stage
        if current is None or current.sweep_id != sweep_id:
            current = StageProgress(
                stage=stage.stage,
                sweep_id=sweep_id,
                sweep_url=f"{self.connection.base_url}/{self.connection.path}/sweeps/{sweep_id}",
                runs=stage.runs,
                started_at=datetime.now(UTC),
            )
            self.update_state(current_stage=current, status="running")
        return current

    def drive_stage(self, stage: StagePlan, box: SearchSpace, sweep_id: str) -> StageCount:
        """Work until every slot of a stage is used; see `StageDriver.drive`."""
        self.begin_stage(stage, sweep_id)
        driver = StageDriver(
            settings=self.settings,
            stage=stage,
            box=box,
            earlier=self.read_earlier(stage.stage),
            search=self.search,
            tracker=SweepTracker(self, sweep_id, stage),
            fleet=WorkerFleet(self, sweep_id, stage.stage),
            ahead=self.state.options.workers,
            report=self._report_progress,
            interval=self.interval,
        )
        slots = driver.drive()
        self._keep_evaluations(stage, slots)
        used = [slot for slot in slots.values() if slot.status == "used"]
        return StageCount(
            used=len(used),
            failed=sum(slot.outcome == "failed" for slot in used),
            attempts_lost=sum(slot.lost for slot in slots.values()),
        )

    def _report_progress(self, slots: Mapping[int, Slot]) -> None:
        before = self.state.current_stage
        if before is None:
            return
        now = measure_progress(before, slots, self.settings.goal)
        if now != before:
            done = sum(record.runs_completed for record in self.state.stages_completed if record.stage != now.stage)
            self.update_state(current_stage=now, budget_used=done + now.used)

    def complete_stage(self, record: StageRecord) -> State:
        """Add a finished stage to the state."""
        stages = (*(one for one in self.state.stages_completed if one.stage != record.stage), record)
        stages = tuple(sorted(stages, key=lambda one: one.stage))
        better = max if self.settings.goal == "maximize" else min
        valued = [one for one in stages if one.best_metric is not None]
        best = better(valued, key=lambda one: one.best_metric or 0.0, default=None)
        return self.update_state(
            stages_completed=stages,
            current_stage=None,
            budget_used=sum(one.runs_completed for one in stages),
            best_metric=best.best_metric if best else None,
            best_stage=best.stage if best else None,
            best_config=best.best_config if best else None,
            best_run=best.best_run if best else None,
        )

    def complete_sweep(self) -> State:
        """Settle what the sweep recommends, and end it."""
        found = self.search.recommend(self.read_earlier(4))
        recommended = Recommended.model_validate(found.model_dump()) if found else None
        return self.update_state(
            recommended=recommended, status="completed", ended_because="budget used", current_stage=None
        )

    def launch_workers(self, sweep_id: str, count: int) -> Sequence[WorkerRecord]:
        """Start workers for a sweep and note them in the state."""
        started = self.launcher.launch(f"{self.connection.path}/{sweep_id}", count) if count > 0 else []
        alive = [worker for worker in self.state.workers if self.launcher.is_alive(worker)]
        self.update_state(workers=(*alive, *started))
        return started

    def close(self) -> None:
        """Free what this process holds."""
        self.launcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SweepTracker:
    """The wandb client behind the driver's `Tracker`."""

    def __init__(self, session: Session, sweep_id: str, stage: StagePlan) -> None:
        self._session = session
        self._reader = RunReader(session.connection, sweep_id, session.settings, stage)
        self._sweep = open_sweep(session.connection, sweep_id)
        self.records: dict[str, RunRecord] = self._reader.records

    def read(self) -> Sequence[RunRecord]:
        """Read the runs that changed into `records`."""
        return self._reader.read()

    def enqueue(self, name: SlotName, config: Config, seed: int | None) -> None:
        """Queue an attempt at a slot."""
        settings = self._session.settings
        seeded: dict[str, Value] = {}
        if settings.seed_parameter is not None and seed is not None:
            seeded[settings.seed_parameter] = seed
        enqueue_run(self._session.connection, self._sweep, str(name), config | seeded, settings.fixed)


class WorkerFleet:
    """The session's launcher behind the driver's `Fleet`."""

    def __init__(self, session: Session, sweep_id: str, stage: StageNumber) -> None:
        self._session = session
        self._sweep_id = sweep_id
        self._stage: StageNumber = stage
        self._path = f"{session.connection.path}/{sweep_id}"
        self._idle_launches = 0

    def tend(self, work: int, progressed: bool) -> None:
        """Start workers where some are missing for the open slots.

        Raises:
            LaunchError: If they were started again and again and no run moved.
        """
        session = self._session
        if progressed:
            self._idle_launches = 0
        alive = [
            worker
            for worker in session.state.workers
            if worker.sweep == self._path and session.launcher.is_alive(worker)
        ]
        missing = min(session.state.options.workers, work) - len(alive)
        if missing <= 0:
            return
        if self._idle_launches >= LAUNCHES_WITHOUT_PROGRESS:
            last = session.state.workers[-1] if session.state.workers else None
            raise LaunchError(
                f"Workers of stage {self._stage} ended {self._idle_launches} times without any run having moved.",
                f"The last one's log is {last.log}." if last else "",
            )
        self._idle_launches += 1
        session.launch_workers(self._sweep_id, missing)

    def explain_failure(self, run: RunRecord) -> str:
        """Say why a run failed, in a line."""
        return self._session.launcher.read_failure(run.run_id)
