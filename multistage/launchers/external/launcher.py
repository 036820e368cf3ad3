"""Starts nobody, and says how others do."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from multistage.domain.workers.worker_records import WorkerEnd, WorkerRecord
from multistage.launchers.base import Traits
from multistage.launchers.variables_file import write_variables

TRAITS = Traits(
    title="other machines",
    can_inspect=False,
    reaches_loopback=False,
    reaches_network=True,
    sees_files=False,
    can_keep=True,
)


class ExternalLauncher:
    """Waits for workers that come by themselves; a ``Launcher``.

    Args:
        folder: Of the sweep's logs.
        variables: What workers need: the server's URL and key.
        address: What to work for, as `multistage-sweep work` takes it.
    """

    traits = TRAITS
    fee = None

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None, address: str = "") -> None:
        self._folder = folder
        self._variables = variables
        self._address = address

    def prepare(self) -> None:
        """Write down where the server is, and the key, for whoever starts workers."""
        if self._variables is not None:
            write_variables(self._folder, self._variables)

    def launch(self, sweep: str, count: int) -> list[WorkerRecord]:
        """Nobody is started."""
        self.prepare()
        return []

    def adopts(self, record: WorkerRecord) -> bool:
        """No worker is noted, so none is one of these."""
        return False

    def is_alive(self, record: WorkerRecord) -> bool:
        """Not as far as anybody here knows."""
        return False

    def inspect(self, record: WorkerRecord) -> WorkerEnd | None:
        """Another launcher's worker is none that works here."""
        return WorkerEnd(fault="none")

    def stop(self, records: Sequence[WorkerRecord]) -> None:
        """Nothing: whoever started a worker ends it, and it leaves by itself when its sweep has ended."""

    def explain_waiting(self, records: Sequence[WorkerRecord]) -> str:
        """Say how to begin to work."""
        return f"work with `multistage-sweep work {shlex.quote(self._address)}`" if self._address else ""

    def read_failure(self, run_id: str) -> str:
        """Nothing: what a training printed is where it ran."""
        return ""

    def read_last_words(self, record: WorkerRecord) -> str:
        """Nothing."""
        return ""

    def name_log(self, record: WorkerRecord) -> str:
        """Where the worker is."""
        return "on its own machine"

    def judge_training(self, error: str) -> None:
        """Nothing: each training is judged by itself."""

    def close(self) -> None:
        """Nothing to give back."""
