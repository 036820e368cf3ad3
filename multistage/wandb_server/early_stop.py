"""Hyperband: which runs of a sweep are stopped early.

A run's value at a band is kept when the run reaches it, so that a decision costs one look into an index,
however many rows the runs have. The decisions are those of W&B's own engine, the package ``sweeps``.
"""

from collections.abc import Sequence

from multistage.domain.runs.results import Goal
from multistage.domain.sweep.sweep_config import Hyperband
from multistage.wandb_server.lifecycle import Lifecycle
from multistage.wandb_server.nodes import get_run
from multistage.wandb_server.run_values import read_number
from multistage.wandb_server.store import Row, Store


class EarlyStop:
    """Follows the metric of runs and asks those that fall behind to stop.

    Args:
        store: Where the runs are.
        lifecycle: What asks a run to stop.
    """

    def __init__(self, store: Store, lifecycle: Lifecycle) -> None:
        self.store = store
        self.lifecycle = lifecycle

    def follow(
        self, sweep: Row, hyperband: Hyperband, goal: Goal, run: Row, offset: int, values: Sequence[object]
    ) -> None:
        """Take in the metric's values of a run's new rows, then judge the run.

        Args:
            sweep: The run's sweep.
            hyperband: How it terminates early.
            goal: Whether more is better.
            run: The run.
            offset: Number of the first row; rows that were taken in before are passed over.
            values: One for each row; what is no finite number does not count.
        """
        progress = self.store.one("SELECT * FROM progress WHERE run_id = ?", (run["id"],))
        next_line, count, best = (
            (progress["next_line"], progress["count"], progress["best"]) if progress else (0, 0, None)
        )
        if offset + len(values) <= next_line:
            return
        sign = -1.0 if goal == "maximize" else 1.0
        bands = set(hyperband.bands)
        for value in values[max(0, next_line - offset) :]:
            number = read_number(value)
            if number is None:
                continue
            count += 1
            best = sign * number if best is None else min(best, sign * number)
            if count in bands:
                self.store.execute(
                    "INSERT OR IGNORE INTO bands (sweep_id, band, value, run_id) VALUES (?, ?, ?, ?)",
                    (sweep["id"], count, sign * number, run["id"]),
                )
        self.store.execute(
            "INSERT OR REPLACE INTO progress (run_id, next_line, count, best) VALUES (?, ?, ?, ?)",
            (run["id"], offset + len(values), count, best),
        )
        if best is not None and self._is_behind(sweep["id"], hyperband, run["id"], best):
            self.lifecycle.request_stop(get_run(self.store, run["id"]))

    def _is_behind(self, sweep_id: int, hyperband: Hyperband, run_id: int, best: float) -> bool:
        """Whether a run is worse than the best ``1 / eta`` of those that reached its latest band."""
        latest = self.store.one("SELECT band, value FROM bands WHERE run_id = ? ORDER BY band DESC LIMIT 1", (run_id,))
        if latest is None:
            return False
        reached = self.store.value(
            "SELECT count(*) FROM bands WHERE sweep_id = ? AND band = ?", (sweep_id, latest["band"])
        )
        threshold = self.store.value(
            "SELECT value FROM bands WHERE sweep_id = ? AND band = ? ORDER BY value LIMIT 1 OFFSET ?",
            (sweep_id, latest["band"], int(1 / hyperband.eta * reached)),
        )
        return bool((latest["value"] if hyperband.strict else best) > threshold)
