"""Runs of a sweep: read what changed since the last look."""

import math
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from wandb.apis.public.runs import Run

from multistage.domain.layout import flatten_config
from multistage.domain.metric import extract_value, parse_metric_value
from multistage.domain.plan import StagePlan, SweepSettings
from multistage.domain.slots import RunPhase, RunRecord, SlotName, classify_run, parse_slot_name
from multistage.domain.workers import WORKER_TAG
from multistage.errors import TrackerError
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.run_archive import RunArchive

PAGE = 500
"""Runs a request."""
LOOK_EVERY = 20.0
"""Seconds between two looks whether queued runs are still there."""


class RunReader:
    """Reads a sweep's runs; each `read` costs by what changed since the one before.

    A run that reported since is found by its heartbeat; one that is being trained is asked for by its id, since a
    server may settle a silent run without a heartbeat. Now and then queued ones are asked for, too: a run that was
    deleted is not there any more, and counts as lost.

    Args:
        connection: Where the sweep is.
        sweep_id: The sweep.
        settings: The metric, its goal, and the names of the swept hyperparameters.
        stage: The stage, whose last runs may be finalists.
        prior_runs: Ids of earlier stages' runs, which a server may count among the sweep's.
        archive: Finished runs that an earlier process has read; they are not read again.
    """

    def __init__(
        self,
        connection: Connection,
        sweep_id: str,
        settings: SweepSettings,
        stage: StagePlan,
        prior_runs: Collection[str] = (),
        archive: RunArchive | None = None,
    ) -> None:
        self._connection = connection
        self._sweep_id = sweep_id
        self._settings = settings
        self._stage = stage
        self._how = parse_metric_value(settings.metric_value)
        self._prior_runs = frozenset(prior_runs)
        self._archive = archive
        self.records: dict[str, RunRecord] = {}
        """Every run of the sweep, by id."""
        self._cursor: str | None = None
        if archive is not None:
            self.records, self._cursor = archive.load()
        self._trusts_archive = bool(self.records)
        self._asked_for: frozenset[str] = frozenset()
        """Ids of the runs that the last request asked for by name."""
        self._missed: set[str] = set()
        """Of those, the ones that were not there."""
        self._looked_at = -math.inf

    def read(self) -> list[RunRecord]:
        """Read the runs that changed; also found in `records` afterwards.

        Raises:
            TrackerError: If the server cannot be reached.
        """
        changed = self._read_changes()
        if self._trusts_archive:
            self._trusts_archive = False
            # A run may have been deleted since, or settled without a heartbeat.
            if self._connection.call(self._count) != len(self.records):
                self.records.clear()
                self._cursor = None
                changed = self._read_changes()
        if self._archive is not None and self._cursor is not None:
            self._archive.add(changed, self._cursor)
        return changed

    def _read_changes(self) -> list[RunRecord]:
        changed = []
        found = self._connection.call(self._fetch)
        changed += self._find_deleted({run.id for run in found})
        for run in found:
            record = self._interpret(run)
            self._cursor = max(self._cursor or "", run.heartbeat_at or "") or None
            if record is not None and record != self.records.get(record.run_id):
                self.records[record.run_id] = record
                changed.append(record)
        return changed

    def _find_deleted(self, present: Collection[str]) -> list[RunRecord]:
        """Settle runs that are not there any more: asked for twice by name, since a server's lists may lag behind."""
        missing = self._asked_for - set(present)
        gone = [self.records[run_id] for run_id in sorted(missing & self._missed)]
        self._missed = (self._missed - self._asked_for) | (missing - {run.run_id for run in gone})
        deleted = [run.model_copy(update={"phase": "lost", "error": "The run was deleted."}) for run in gone]
        self.records.update({run.run_id: run for run in deleted})
        return deleted

    def _count(self) -> int:
        runs = self._connection.api.runs(self._connection.path, filters={"sweep": self._sweep_id}, per_page=1)
        return len(runs)

    def _fetch(self) -> list[Run]:
        conditions: list[dict[str, Any]] = [{"sweep": self._sweep_id}]
        self._asked_for = frozenset()
        if self._trusts_archive:
            conditions.append({"$or": [{"heartbeatAt": {"$gte": self._cursor}}, {"state": {"$ne": "finished"}}]})
        elif self._cursor is not None:
            now = time.monotonic()
            phases: tuple[RunPhase, ...] = ("active",)
            if now - self._looked_at >= LOOK_EVERY:
                self._looked_at, phases = now, ("active", "queued")
            named = {run.run_id for run in self.records.values() if run.phase in phases} | self._missed
            self._asked_for = frozenset(named)
            conditions.append({"$or": [{"heartbeatAt": {"$gte": self._cursor}}, {"name": {"$in": sorted(named)}}]})
        runs = self._connection.api.runs(
            self._connection.path,
            filters={"$and": conditions},
            order="+created_at",
            per_page=PAGE,
            lazy=False,
        )
        try:
            return list(runs)
        except ValueError as error:  # the client's word for a project that does not exist
            raise TrackerError(f"Project {self._connection.path} is not there: {error}.") from error

    def _interpret(self, run: Run) -> RunRecord | None:
        """Turn the client's run into ours; None for a run that is no slot's, such as one started by hand."""
        name = self._name_slot(run)
        if name is None:
            return None
        summary = run.summary_metrics
        value = read_metric(summary, self._settings.metric, self._settings.goal)
        phase = classify_run(run.state, stop_requested=self._was_stopped(run.state, value))
        config = run.config
        parameter = self._settings.seed_parameter
        seed = config.get(parameter) if parameter else None
        runtime = _read_number(summary.get("_runtime"))
        heartbeat_at = _parse_time(run.heartbeat_at)
        finalists_from = self._stage.runs - self._stage.finalists
        return RunRecord(
            run_id=run.id,
            name=name,
            phase=phase,
            config=flatten_config(config, self._settings.space.names, self._settings.layout),
            seed=seed if isinstance(seed, int) else None,
            value=self._read_value(run, summary)
            if phase in ("finished", "stopped")
            else read_metric(summary, self._settings.metric, self._settings.goal),
            logged=tuple(sorted(key for key in summary if not key.startswith("_"))),
            error=" ".join(str(summary.get("error") or "").split())[:500],
            created_at=_parse_time(run.created_at),
            began_at=_find_beginning(summary, heartbeat_at, runtime),
            heartbeat_at=heartbeat_at,
            finalist=name.index >= finalists_from,
            rows=run._attrs.get("historyLineCount") or 0,
            runtime=runtime,
            worker=next((tag.removeprefix(WORKER_TAG) for tag in run.tags if tag.startswith(WORKER_TAG)), None),
        )

    def _name_slot(self, run: Run) -> SlotName | None:
        """Tell a run's slot: by its name, or by its place among the runs that W&B's engine proposed."""
        if self._settings.search == "gp":
            return parse_slot_name(run.name or "")
        if run.id in self._prior_runs or self._was_there_before(run):
            return None
        known = self.records.get(run.id)
        free = 1 + max((record.name.index for record in self.records.values()), default=-1)
        return known.name if known else SlotName(stage=self._stage.stage, index=free)

    def _was_there_before(self, run: Run) -> bool:
        """Tell a run of a sweep that was there before from those that came since."""
        adopted = self._settings.adopted
        if adopted is None or adopted.newest is None:
            return False
        created_at = _parse_time(run.created_at)
        return created_at is not None and created_at <= adopted.newest

    def _was_stopped(self, state: str, value: float | None) -> bool:
        """Tell a run that early termination ended from one that the machine lost, as far as the state shows it."""
        if self._settings.early_stop == "none" or (self._stage.stage == 1 and self._settings.definition is None):
            return False
        return state == "killed" or (state == "crashed" and value is not None and self._settings.search == "wandb")

    def _read_value(self, run: Run, summary: Mapping[str, Any]) -> float | None:
        metric, goal = self._settings.metric, self._settings.goal
        last = read_metric(summary, metric, goal)
        if self._how.kind == "last" or last is None:
            return last
        rows = [row[metric] for row in run.scan_history(keys=[metric])]
        return extract_value([float(value) for value in rows], last, self._how, goal)


def find_newest(connection: Connection, sweep_id: str) -> tuple[int, datetime | None]:
    """Count a sweep's runs, and tell when the latest of them was created."""

    def look() -> tuple[int, datetime | None]:
        filters = {"sweep": sweep_id}
        runs = connection.api.runs(connection.path, filters=filters, order="-created_at", per_page=1)
        count = len(runs)
        return count, _parse_time(runs[0].created_at) if count else None

    return connection.call(look)


def read_metric(summary: Mapping[str, Any], metric: str, goal: str) -> float | None:
    """Read a metric from a run's summary.

    A metric's name may be one flat key with slashes or dots, or a path into nested dicts. Where the training asked for
    another summary (`define_metric`), the entry is a dict such as ``{"min": 0.1}``: the goal's own end is taken, else
    the last, else whichever there is. W&B writes NaN and infinities as strings.
    """
    found: Any = summary.get(metric)
    if found is None:
        found = summary
        for part in metric.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, Mapping):
        end = "max" if goal == "maximize" else "min"
        found = next((found[key] for key in (end, "last", "best", "mean", "min", "max") if key in found), None)
    if isinstance(found, str) and found in ("NaN", "Infinity", "-Infinity"):
        return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}[found]
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found)


def _read_number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _find_beginning(
    summary: Mapping[str, Any], heartbeat_at: datetime | None, runtime: float | None
) -> datetime | None:
    """Tell when a training began: bundled trainers say so; else the last sign of life less W&B's whole seconds."""
    first_step = _read_number(summary.get("time/first_step"))
    if first_step is not None:
        return datetime.fromtimestamp(first_step, UTC)
    if heartbeat_at is None or runtime is None:
        return None
    return heartbeat_at - timedelta(seconds=runtime)


def _parse_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
