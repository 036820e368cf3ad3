"""What every launcher offers."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from multistage.domain.workers import WorkerEnd, WorkerRecord


class Launcher(Protocol):
    """Starts workers, and knows and ends them again by their records alone.

    A record is all that is needed, so any process may take over from the one that launched::

        with LocalLauncher(folder, environment={"WANDB_BASE_URL": url, "WANDB_API_KEY": key}) as launcher:
            records = list(launcher.launch("local/CartPole-v1/abc123", count=2))
        # This process may be killed here; the workers live on.
        with LocalLauncher(folder) as launcher:
            adopted = [record for record in records if launcher.is_alive(record)]
            launcher.stop(adopted)
    """

    def prepare(self) -> None:
        """Begin to make ready what workers need, in the background; `launch` does it where this was not called."""
        ...

    def launch(self, sweep: str, count: int) -> Iterable[WorkerRecord]:
        """Start workers for a sweep (``entity/project/id``); they leave by themselves when it has no more runs.

        The records come one by one as they are known, to be noted at once; a later one of the same worker replaces the
        earlier.

        Raises:
            LaunchError: They do not start.
        """
        ...

    def is_alive(self, record: WorkerRecord) -> bool:
        """Whether the worker still works."""
        ...

    def inspect(self, record: WorkerRecord) -> WorkerEnd | None:
        """How the worker ended; None while it works."""
        ...

    def stop(self, records: Sequence[WorkerRecord]) -> None:
        """End workers with every training below them, also trainings whose worker is gone already.

        Takes at most 10 s, and is harmless when repeated.

        Raises:
            LaunchError: Something survived.
        """
        ...

    def read_failure(self, run_id: str) -> str:
        """The last lines that a training printed; empty where they are not known."""
        ...

    def close(self) -> None:
        """Give back what the launcher itself needs; its workers live on."""
        ...
