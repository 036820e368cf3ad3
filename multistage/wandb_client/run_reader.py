"""Runs of a sweep: read what changed since the last look."""

import math
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from wandb.apis.public.runs import Run

from multistage.domain.runs.results import Config
from multistage.domain.runs.slots import RunRecord, parse_slot_name
from multistage.domain.sweep.plan import StagePlan, SweepSettings
from multistage.errors import TrackerError
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.run_archive import RunArchive
from multistage.wandb_client.run_fields import parse_time, write_cutoff
from multistage.wandb_client.run_records import RunInterpreter
from multistage.wandb_client.slot_ledger import SlotEntry, SlotLedger

PAGE = 500
"""Runs a request."""
LOOK_EVERY = 20.0
"""Seconds between two looks whether queued runs are still there."""
ASKED = 500
"""Waiting runs that a request asks for by their ids; of more, each has its turn. Servers bound a filter's values."""
ARRIVAL = 60.0
"""Seconds that a run may be missing from the server's lists after it was enqueued, before it counts as deleted."""


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
        ledger: Which run is which slot's; None where W&B's engine proposes the runs.
        planned: Configs of the first slots, in their order, by which runs are told apart where nothing is written down.
    """

    def __init__(
        self,
        connection: Connection,
        sweep_id: str,
        settings: SweepSettings,
        stage: StagePlan,
        prior_runs: Collection[str] = (),
        archive: RunArchive | None = None,
        ledger: SlotLedger | None = None,
        planned: Sequence[Config] = (),
    ) -> None:
        self._connection = connection
        self._sweep_id = sweep_id
        self._prior_runs = frozenset(prior_runs)
        self._archive = archive
        self._ledger = ledger
        self._interpreter = RunInterpreter(settings, stage, prior_runs, ledger, planned)
        self.records: dict[str, RunRecord] = {}
        """Every run of the sweep that is a slot's, by id."""
        self._active: set[str] = set()
        """Ids of those that are being trained."""
        self._cursor: str | None = None
        if archive is not None:
            self.records, self._cursor = archive.load()
        self._trusts_archive = bool(self.records)
        self._asked_for: frozenset[str] = frozenset()
        """Ids of the runs that the last request asked for by name."""
        self._missed: set[str] = set()
        """Of those, the ones that were not there."""
        self._expected: dict[str, float] = {}
        """Enqueued runs that no list of the server has shown yet: until when they may be missing."""
        self._looked_at = -math.inf
        self._turn = 0
        """Of the waiting runs, the first one that is asked for next."""

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
                self._active.clear()
                self._cursor = None
                changed = self._read_changes()
        if self._ledger is not None:
            for run_id in [run_id for run_id in self._ledger.run_ids if run_id not in self.records]:
                if entry := self._ledger.find(run_id):
                    self.expect(entry)
        if self._archive is not None and self._cursor is not None:
            self._archive.add(changed, self._cursor)
        return changed

    def read_all(self) -> list[RunRecord]:
        """Read all runs of the sweep, without a filter by time; returns those that changed.

        Before anything is given up or called lost: a server may not know a filter, or answer from an old index.

        Raises:
            TrackerError: If the server cannot be reached, or lists fewer runs than it counts.
        """
        found = self._connection.call(self._fetch_all)
        changed = self._take(found)
        present = {run.id for run in found}
        gone = {
            run.run_id
            for run in self.records.values()
            if run.phase in ("active", "queued") and run.run_id not in present
        }
        return changed + self._lose(gone)

    def expect(self, entry: SlotEntry) -> None:
        """Count an enqueued run as queued until the server's lists show it."""
        run_id = entry.run_id
        if run_id is None or run_id in self.records:
            return
        self._expected[run_id] = time.monotonic() + ARRIVAL
        self.records[run_id] = self._interpreter.expect(entry)

    def find_unassigned(self, entry: SlotEntry) -> str | None:
        """Find the run of a slot that was enqueued, perhaps, by a request without an answer; returns its id.

        It is the run that no entry names; where there are several, as beside a script that starts runs of its own, the
        one with the slot's name or config, or else the latest.

        Raises:
            TrackerError: If the server cannot be reached, or lists fewer runs than it counts.
        """
        found = self._connection.call(self._fetch_all)
        taken = self._ledger.run_ids if self._ledger else ()
        strangers = [run for run in found if run.id not in taken and run.id not in self._prior_runs]
        for run in strangers:
            if run.name == str(entry.slot):
                return str(run.id)
        unnamed = [run for run in strangers if parse_slot_name(run.name or "") is None]
        wanted = self._interpreter.select_swept(entry.config)
        for run in unnamed:
            if self._interpreter.flatten(run) == wanted:
                return str(run.id)
        latest = max((run.created_at for run in found if run.id in taken), default="")
        newer = [run for run in unnamed if run.created_at >= latest]
        return str(newer[-1].id) if newer else None

    def describe_count(self) -> str:
        """Say how many runs of the sweep the server counts, and in which states, in a clause.

        Raises:
            TrackerError: If the server cannot be reached, or lists fewer runs than it counts.
        """
        states: dict[str, int] = {}
        for run in self._connection.call(self._fetch_all):
            states[run.state] = states.get(run.state, 0) + 1
        told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return f"{sum(states.values())} runs" + (f" ({told})" if told else "")

    def _read_changes(self) -> list[RunRecord]:
        found = self._connection.call(self._fetch)
        changed = self._take(found)
        if self._find_missing({run.id for run in found}):
            changed += self.read_all()
        return changed

    def _take(self, found: Sequence[Run]) -> list[RunRecord]:
        """Take in what the server told; returns the records that changed."""
        changed = []
        for run in found:
            record = self._interpreter.interpret(run, self.records)
            self._cursor = max(self._cursor or "", run.heartbeat_at or "") or None
            self._expected.pop(run.id, None)
            if record is not None and record != self.records.get(record.run_id):
                self.records[record.run_id] = record
                changed.append(record)
                (self._active.add if record.phase == "active" else self._active.discard)(record.run_id)
        return changed

    def _find_missing(self, present: Collection[str]) -> bool:
        """Return whether a run was asked for by its id twice and not found: a server's lists may lag behind."""
        now = time.monotonic()
        late = {run_id for run_id in self._asked_for if self._expected.get(run_id, -math.inf) < now}
        missing = late - set(present)
        suspected = missing & self._missed
        self._missed = (self._missed - self._asked_for) | (missing - suspected)
        return bool(suspected)

    def _lose(self, run_ids: Collection[str]) -> list[RunRecord]:
        """Settle runs that are not there any more, save those that may still arrive."""
        now = time.monotonic()
        gone = [self.records[run_id] for run_id in sorted(run_ids) if self._expected.get(run_id, -math.inf) < now]
        deleted = [run.model_copy(update={"phase": "lost", "error": "The run was deleted."}) for run in gone]
        for run in deleted:
            self.records[run.run_id] = run
            self._expected.pop(run.run_id, None)
            self._active.discard(run.run_id)
        return deleted

    def _count(self) -> int:
        runs = self._connection.api.runs(self._connection.path, filters={"sweep": self._sweep_id}, per_page=1)
        return len(runs)

    def _fetch_all(self) -> list[Run]:
        runs = self._list({"sweep": self._sweep_id})
        told = self._count()
        if len(runs) < told:
            raise TrackerError(
                f"The W&B server at {self._connection.base_url} counts {told} runs in sweep {self._sweep_id} and lists "
                f"{len(runs)} of them.",
                "Its lists may lag behind; it is asked again.",
            )
        return runs

    def _fetch(self) -> list[Run]:
        conditions: list[dict[str, Any]] = [{"sweep": self._sweep_id}]
        self._asked_for = frozenset()
        if self._cursor is not None:
            recent = {"heartbeatAt": {"$gte": write_cutoff(self._cursor)}}
            if self._trusts_archive:
                conditions.append({"$or": [recent, {"state": {"$ne": "finished"}}]})
            else:
                self._asked_for = frozenset(self._choose_asked())
                conditions.append({"$or": [recent, {"name": {"$in": sorted(self._asked_for)}}]})
        return self._list({"$and": conditions})

    def _choose_asked(self) -> set[str]:
        """Choose the runs to ask for by their ids."""
        now = time.monotonic()
        waiting = list(self._expected)
        if now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            queued = (run.run_id for run in self.records.values() if run.phase == "queued")
            waiting = list(dict.fromkeys([*waiting, *queued]))
        if len(waiting) > ASKED:
            start, self._turn = self._turn % len(waiting), self._turn + ASKED
            waiting = (waiting[start:] + waiting[:start])[:ASKED]
        return self._active | self._missed | set(waiting)

    def _list(self, filters: dict[str, Any]) -> list[Run]:
        runs = self._connection.api.runs(
            self._connection.path, filters=filters, order="+created_at", per_page=PAGE, lazy=False
        )
        try:
            return list(runs)
        except ValueError as error:  # the client's word for a project that does not exist
            raise TrackerError(f"Project {self._connection.path} is not there: {error}.") from error


def find_newest(connection: Connection, sweep_id: str) -> tuple[int, datetime | None]:
    """Count a sweep's runs, and tell when the latest of them was created."""

    def look() -> tuple[int, datetime | None]:
        filters = {"sweep": sweep_id}
        runs = connection.api.runs(connection.path, filters=filters, order="-created_at", per_page=1)
        count = len(runs)
        return count, parse_time(runs[0].created_at) if count else None

    return connection.call(look)
