"""What drives a stage needs of the sweep and of the workers: the wandb client and the launchers are behind it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from multistage.domain.runs.results import Config
from multistage.domain.runs.slots import RunRecord, SlotName
from multistage.domain.runs.vigilance import Intake
from multistage.errors import TrackerError


class Tracker(Protocol):
    """What the driver needs of a sweep; `multistage.driver.sweep_tracker` puts the wandb client behind it."""

    records: dict[str, RunRecord]
    interval: float
    """Seconds to wait before the next look."""

    def read(self) -> Sequence[RunRecord]:
        """Read the runs that changed into `records`."""
        ...

    def read_all(self) -> bool:
        """Read all runs, without a filter by time, into `records`; tells whether any had changed."""
        ...

    def describe_count(self) -> str:
        """Say how many runs the server counts, and in which states, in a clause."""
        ...

    def read_workers(self) -> Mapping[str, str]:
        """Read which worker has trained which run, by the run's id."""
        ...

    def complete(self) -> None:
        """See an attempt through that a request without an answer was to queue; it stands in `records` then."""
        ...

    def enqueue(self, name: SlotName, config: Config, seed: int | None) -> None:
        """Queue an attempt at a slot; it stands in `records` then."""
        ...

    def stop(self, run: RunRecord) -> None:
        """Ask a run to stop; it is settled as lost, and its slot trained again."""
        ...

    def read_intake(self) -> Intake:
        """Read whether the sweep was finished, cancelled or paused."""
        ...

    def wait_out(self, error: TrackerError) -> None:
        """Bear that the server did not answer; raise the error where it has been away for too long."""
        ...


class Fleet(Protocol):
    """The stage's workers; `multistage.driver.worker_fleet` puts a launcher behind it."""

    exhausted: bool
    """Whether nobody works any more and nobody else can be paid."""

    def adjust(self, waiting: int, training: int, progressed: bool, confirm: Callable[[], bool]) -> None:
        """Start workers where some are missing for the runs that wait; raise LaunchError where they keep dying.

        Asks ``confirm`` first, which tells whether those runs do wait.
        """
        ...

    def retire(self, worker_id: str) -> None:
        """End one worker; another takes its place."""
        ...

    def explain_failure(self, run: RunRecord) -> str:
        """Say why a run failed, in a line; empty where nothing is known."""
        ...
