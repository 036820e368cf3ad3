"""One stage's sweep behind the driver's `Tracker`: read, enqueue, and sit out a server's absence."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from multistage.domain.runs.results import Config, Value
from multistage.domain.runs.slots import RunRecord, SlotName
from multistage.domain.runs.vigilance import Intake
from multistage.domain.sweep.plan import StagePlan, SweepSettings
from multistage.domain.workers.variables import is_loopback
from multistage.errors import ServiceError, TrackerError, UsageError
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.run_archive import RunArchive
from multistage.wandb_client.run_reader import RunReader
from multistage.wandb_client.slot_ledger import SlotEntry, SlotLedger
from multistage.wandb_client.sweep_calls import ENDED, enqueue_run, open_sweep, read_sweep_state, reopen_sweep
from multistage.wandb_client.worker_lookup import read_workers

LOCAL_INTERVAL = 0.3
"""Seconds between two looks at a server on this machine."""
REMOTE_INTERVAL = 10.0
"""Seconds between two looks at any other server: two requests a look stay far below 30 a minute."""
LONGEST_INTERVAL = 120.0
"""Seconds between two looks at a server that does not answer, or asks for patience."""
LONGEST_OUTAGE = 2 * 3600.0
"""Seconds that a server may be away before the stage is given up; a resume goes on with it."""

logger = logging.getLogger(__name__)


class SweepTracker:
    """The wandb client behind the driver's `Tracker`.

    Args:
        connection: Where the sweep is.
        sweep_id: The sweep.
        settings: The sweep's settings.
        stage: The stage.
        prior_runs: Ids of earlier stages' runs, which a server may count among the sweep's.
        archive: Finished runs that an earlier process has read.
        revive: Makes the server come back where that is in this machine's power; called in every outage. A TrackerError
            of its own ends the wait.
        ledger: Which run is which slot's; None where W&B's engine proposes the runs.
        planned: Configs of the first slots, in their order.
    """

    def __init__(
        self,
        connection: Connection,
        sweep_id: str,
        settings: SweepSettings,
        stage: StagePlan,
        revive: Callable[[], object],
        prior_runs: Collection[str] = (),
        archive: RunArchive | None = None,
        ledger: SlotLedger | None = None,
        planned: Sequence[Config] = (),
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._revive = revive
        self._ledger = ledger
        self._reader = RunReader(connection, sweep_id, settings, stage, prior_runs, archive, ledger, planned)
        self._sweep = open_sweep(connection, sweep_id)
        self._sweep_id = sweep_id
        reopen_sweep(connection, sweep_id)
        self._away_since: float | None = None
        self._trouble = ""
        """What kept the server from being started at the last try."""
        self._usual = LOCAL_INTERVAL if is_loopback(connection.base_url) else REMOTE_INTERVAL
        self.interval = self._usual
        self.records: dict[str, RunRecord] = self._reader.records

    def read(self) -> Sequence[RunRecord]:
        """Read the runs that changed into `records`."""
        changed = self._reader.read()
        self._away_since, self._trouble, self.interval = None, "", self._usual
        return changed

    def read_all(self) -> bool:
        """Read all runs of the sweep into `records`, whatever the last looks were told; tells whether any changed."""
        return bool(self._reader.read_all())

    def describe_count(self) -> str:
        """Say how many runs of the sweep the server counts, and in which states."""
        return self._reader.describe_count()

    def read_workers(self) -> Mapping[str, str]:
        """Read which worker has trained which run, by the run's id."""
        return read_workers(self._connection, self._sweep_id)

    def enqueue(self, name: SlotName, config: Config, seed: int | None) -> None:
        """Queue an attempt at a slot, which stands in `records` then."""
        if self._ledger is None:
            raise ValueError("W&B's engine proposes the runs of this sweep")
        self.complete()
        self._enqueue(self._ledger.intend(name, config, seed))

    def complete(self) -> None:
        """Find, or enqueue again, the run of a slot that was written down by a request that nobody answered."""
        if self._ledger is None or self._ledger.open_entry is None:
            return
        entry = self._ledger.open_entry
        run_id = self._reader.find_unassigned(entry)
        if run_id is None:
            self._enqueue(entry)
        else:
            self._reader.expect(self._ledger.assign(run_id))

    def _enqueue(self, entry: SlotEntry) -> None:
        assert self._ledger is not None  # noqa: S101 - as its callers have seen
        settings = self._settings
        seeded: dict[str, Value] = {}
        if settings.seed_parameter is not None and entry.seed is not None:
            seeded[settings.seed_parameter] = entry.seed
        run_id = enqueue_run(
            self._connection, self._sweep, str(entry.slot), entry.config | seeded, settings.fixed, settings.layout
        ) or self._reader.find_unassigned(entry)
        if run_id is None:
            raise TrackerError(f"The run that was enqueued for slot {entry.slot} is not in the server's lists yet.")
        self._reader.expect(self._ledger.assign(run_id))

    def stop(self, run: RunRecord) -> None:
        """Ask a run to stop, as the button on its page does."""
        path = f"{self._connection.path}/{run.run_id}"
        self._connection.call(self._connection.call(self._connection.api.run, path).stop)

    def read_intake(self) -> Intake:
        """Read whether the sweep was finished, cancelled or paused."""
        state = read_sweep_state(self._connection, self._sweep_id)
        return "ended" if state in ENDED else "paused" if state == "PAUSED" else "open"

    def wait_out(self, error: TrackerError) -> None:
        """Wait longer and longer for a server that does not answer, also where it cannot be started again yet.

        Raises:
            TrackerError: The error, with what keeps the server from starting, where it has been away for too long; or
                the server is elsewhere now.
        """
        now = time.monotonic()
        self._away_since = now if self._away_since is None else self._away_since
        if now - self._away_since > LONGEST_OUTAGE:
            raise TrackerError(f"{error.message} {self._trouble}".rstrip(), error.hint) from error
        self.interval = min(2 * self.interval, LONGEST_INTERVAL)
        self._trouble = self._try_to_revive()

    def _try_to_revive(self) -> str:
        """Have the server come back; returns what keeps it from that, which is logged once."""
        try:
            self._revive()
        except (ServiceError, UsageError, OSError) as trouble:
            if str(trouble) != self._trouble:
                logger.warning("The W&B server cannot be started yet: %s", trouble)
            return str(trouble)
        return ""
