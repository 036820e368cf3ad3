"""A sweep's folder of logs, where workers see this machine's files: what lies where in it."""

import os
from collections.abc import Mapping
from pathlib import Path

from multistage.domain.workers.variables import spare_loopback, withhold_secrets
from multistage.worker.conventions import RUN_LOGS_VARIABLE
from multistage.worker.outputs import REASON_LINES, read_last_lines


class LogFolder:
    """Workers' logs, and in a folder of its own each training's.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._runs = path / "runs"

    def make(self) -> None:
        """Make it, for its owner alone."""
        # In the last one W&B's client makes files that anybody may read.
        for folder in (self.path, self._runs, self.path / "wandb"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def variables(self) -> dict[str, str]:
        """The variables by which workers find it."""
        return {"WANDB_DIR": str(self.path), RUN_LOGS_VARIABLE: str(self._runs)}

    def build_environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """Build the whole environment of a worker that this process starts.

        Args:
            own: What it gets beside this process's variables.
        """
        environment = {**os.environ, **self.variables, **own}
        # It names this process's wandb-core, and workers must outlive this process.
        environment.pop("WANDB_SERVICE", None)
        withhold_secrets(environment)
        spare_loopback(environment)
        return environment

    def locate_worker(self, worker_id: str) -> Path:
        """Where a worker's log is."""
        return self.path / f"worker-{worker_id}.log"

    def locate_run(self, run_id: str) -> Path:
        """Where a training's output is."""
        return self._runs / f"{Path(run_id).name}.log"

    def read_run(self, run_id: str, lines: int = REASON_LINES) -> list[str]:
        """Read the last lines that a training printed, wandb's own left out; none where it printed none."""
        path = self.locate_run(run_id)
        return read_last_lines(path, lines)

    def has_runs(self) -> bool:
        """Whether any training has begun."""
        return any(self._runs.glob("*.log"))
