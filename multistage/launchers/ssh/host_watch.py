"""What is known of a sweep's workers on one host; it may go away and come back."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from multistage.domain.workers.worker_records import WorkerEnd, WorkerRecord
from multistage.errors import LaunchError
from multistage.launchers.ssh.connection import Connection
from multistage.launchers.ssh.records import HostPlace, read_details_of

LOOK_EVERY = 5.0
"""Seconds between two looks at a host's workers."""
AWAY_PAUSE = 10.0
"""Seconds for which a host that did not answer is left alone."""
LONGEST_AWAY = 2 * 3600.0
"""Seconds after which the workers of a host that does not come back are given up."""

logger = logging.getLogger(__name__)


class HostWatch:
    """Asks a host which workers live, and keeps their way back open while this process drives the sweep.

    Args:
        place: The host.
        keeps_way_back: Whether it does.
        server_port: Of this machine, to which that leads; None where none is needed.
    """

    def __init__(self, place: HostPlace, keeps_way_back: bool = False, server_port: int | None = None) -> None:
        self.place = place
        self.connection = Connection(place)
        self._keeps = keeps_way_back
        self._server_port = server_port
        self._watched: dict[str, WorkerRecord] = {}
        self._alive: set[str] = set()
        self._ends: dict[str, WorkerEnd] = {}
        self._looked_at = float("-inf")
        self._away_since: float | None = None
        self.reason = ""
        """Why it is away; empty while it answers."""

    def watch(self, record: WorkerRecord) -> None:
        """Ask about a worker from now on, at the next look."""
        if self._watched.get(record.worker_id) != record and record.worker_id not in self._ends:
            is_new = record.worker_id not in self._watched
            self._watched[record.worker_id] = record
            self._alive.add(record.worker_id)
            if is_new:
                self._looked_at = min(self._looked_at, time.monotonic() - LOOK_EVERY)

    def note_started(self, record: WorkerRecord) -> None:
        """Take note of a worker that was started just now, though a look before may have missed it."""
        self._ends.pop(record.worker_id, None)
        self._watched[record.worker_id] = record
        self._alive.add(record.worker_id)

    def note_stopped(self, records: Sequence[WorkerRecord]) -> None:
        """Take note of workers that were ended."""
        for record in records:
            self._end(record.worker_id, WorkerEnd(fault="none"))

    def inspect(self, record: WorkerRecord) -> WorkerEnd | None:
        """Say how a worker ended, as of the last look; None while it works, or nobody knows."""
        return self._ends.get(record.worker_id)

    @property
    def has_living(self) -> bool:
        """Whether any worker lives, as of the last look."""
        return bool(self._alive)

    def list_seats(self) -> list[int]:
        """List which of the host's workers live, as of the last look."""
        return [read_details_of(self._watched[worker_id]).seat for worker_id in self._alive]

    def let_go(self) -> None:
        """Close the way back, unless workers need it: they keep it open themselves."""
        if self._alive:
            self.connection.let_go()
        else:
            self.connection.close()

    @property
    def is_due(self) -> bool:
        """Whether it is time for another look."""
        pause = LOOK_EVERY if self._away_since is None else AWAY_PAUSE
        return bool(self._alive) and time.monotonic() - self._looked_at >= pause

    @property
    def may_be_tried(self) -> bool:
        """Whether the host answers, or was left alone for long enough."""
        return self._away_since is None or time.monotonic() - self._looked_at >= AWAY_PAUSE

    def look(self) -> None:
        """Ask which workers live; without an answer all of them are taken to."""
        asked = dict(self._watched)
        try:
            if self._keeps:
                self.open_way_back()
            told = self.connection.ask("look", workers=[mark(record) for record in asked.values()])
        except LaunchError as error:
            self.note_away(error)
            return
        self._note_back()
        for worker_id in asked.keys() - set(told["alive"]):
            self._end(worker_id, WorkerEnd(fault="none"))

    def open_way_back(self) -> int | None:
        """Open the workers' way back where it is not; gives where it begins on the host.

        Raises:
            CloudAwayError: The host does not answer.
            LaunchError: It allows none.
        """
        living = [self._watched[worker_id] for worker_id in sorted(self._alive)]
        ports = [port for record in living if (port := read_details_of(record).port) is not None]
        there = self.connection.open_way_back(self._server_port, ports[-1] if ports else None)
        cut_off = [record for record in living if read_details_of(record).port not in (there, None)]
        if cut_off:
            logger.warning("%d workers on %s lost their way back: others begin.", len(cut_off), self.place.host)
            self.stop(cut_off)
        return there

    def stop(self, records: Sequence[WorkerRecord], limit: float = 20.0, *, closes: bool = False) -> list[Any]:
        """End workers; gives the processes that survived.

        Args:
            records: The workers.
            limit: Seconds that the host has.
            closes: Whether the way back is closed where no other worker of the sweep needs it.

        Raises:
            CloudAwayError: The host does not answer.
            LaunchError: It cannot do that.
        """
        told = self.connection.ask("stop", limit, workers=[mark(record) for record in records])
        if not told["survivors"]:
            self.note_stopped(records)
        if closes and not told["others"]:
            self.connection.close()
        return list(told["survivors"])

    def note_away(self, error: LaunchError) -> None:
        """Take note that the host does not answer."""
        self._looked_at = time.monotonic()
        if self._away_since is None:
            self._away_since = self._looked_at
            if self._keeps:
                logger.warning("%s It is asked again every %g s.", error.message, AWAY_PAUSE)
        self.reason = error.message
        if self._looked_at - self._away_since > LONGEST_AWAY:
            for worker_id in list(self._alive):
                self._end(worker_id, WorkerEnd(fault="machine", reason=error.message))

    def _note_back(self) -> None:
        self._looked_at = time.monotonic()
        if self._away_since is not None and self._keeps:
            logger.warning("The host %s answers again.", self.place.host)
        self._away_since, self.reason = None, ""

    def _end(self, worker_id: str, end: WorkerEnd) -> None:
        self._ends[worker_id] = end
        self._alive.discard(worker_id)
        self._watched.pop(worker_id, None)


def mark(record: WorkerRecord) -> list[Any]:
    """Return what a host finds a worker by."""
    own = read_details_of(record)
    return [record.worker_id, own.pid, own.process_started_at]
