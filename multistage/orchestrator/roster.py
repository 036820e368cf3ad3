"""The workers of a sweep: started, noted in its state, and paid for under its cost cap."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from multistage.domain.plan import RunOptions
from multistage.domain.workers import WorkerRecord
from multistage.errors import LaunchError
from multistage.launchers.launcher import Launcher
from multistage.orchestrator.journal import Journal
from multistage.orchestrator.launching import price_worker

NOTED_COST = 0.01
"""Dollars by which the running cost must have changed to be noted again."""
LEAVE_TIME = 20.0
"""Seconds that the last containers have to leave by themselves."""


class Roster:
    """Knows the workers of a sweep, and keeps them in its state.

    Args:
        journal: The sweep's state.
        launcher: Starts and ends them.
    """

    def __init__(self, journal: Journal, launcher: Launcher) -> None:
        self._journal = journal
        self.launcher = launcher
        self.proven = False
        """Whether any run has logged a row, so that more containers are worth their money."""

    @property
    def _options(self) -> RunOptions:
        return self._journal.state.options

    @property
    def workers(self) -> Sequence[WorkerRecord]:
        """Every worker that is noted, the dead ones of the current sweep too."""
        return self._journal.state.workers

    @property
    def most(self) -> int:
        """Workers at once."""
        return self._options.workers

    def dismiss(self) -> None:
        """See the last containers out, so that what they cost is known; they leave when their sweep has ended."""
        if self._options.launcher == "local":
            return
        deadline = time.monotonic() + LEAVE_TIME
        while any(not self.launcher.inspect(one) for one in self.workers) and time.monotonic() < deadline:
            time.sleep(0.2)
        self.launcher.stop([one for one in self.workers if not self.launcher.inspect(one)])
        self.settle_costs()

    def launch(self, sweep: str, count: int) -> Sequence[WorkerRecord]:
        """Start workers for a sweep (``entity/project/id``) and note each in the state as it starts.

        On Modal the first is a canary, and none is started that could pass the cost cap: there may be fewer than
        ``count``. Dead workers of the same sweep stay noted: a training may have outlived one.
        """
        if self._options.launcher == "modal":
            count = min(count, self._count_allowed(sweep))
        if count <= 0:
            return []
        known = [one for one in self.workers if one.sweep == sweep or self.launcher.is_alive(one)]
        started: dict[str, WorkerRecord] = {}
        for worker in self.launcher.launch(sweep, count):
            started[worker.worker_id] = worker
            self._journal.update(workers=(*known, *started.values()))
        return list(started.values())

    def _count_allowed(self, sweep: str) -> int:
        """Count the containers that may be started now."""
        alive = self.list_alive(sweep)
        if not (self.proven or self._journal.state.stages_completed):
            return 1 - len(alive)
        return self._count_affordable()

    def _count_affordable(self) -> int:
        options, cost = self._options, self._journal.state.cost
        if options.max_cost is None or cost is None:
            return options.workers
        reserved = sum(one.rate * one.seconds for one in self.workers if one.launcher == "modal" and one.paid is None)
        return int((options.max_cost - cost.ended - reserved) / price_worker(options, cost.rates))

    def has_reached_cap(self) -> bool:
        """Whether no further worker can be paid."""
        return self._count_affordable() < 1

    def list_alive(self, sweep: str) -> Sequence[WorkerRecord]:
        """List the workers of a sweep that still work.

        Raises:
            LaunchError: If one ended in a way in which all others would end too.
        """
        self.settle_costs()
        alive = []
        for one in self.workers:
            if one.sweep != sweep:
                continue
            end = self.launcher.inspect(one)
            if end is None:
                alive.append(one)
            elif end.fault == "setup":
                raise LaunchError(f"Workers cannot work: {end.reason}", f"A worker's log is {one.log}.")
        return alive

    def settle_costs(self) -> None:
        """Note what ended containers have cost, and what those that work have cost so far."""
        cost = self._journal.state.cost
        if cost is None:
            return
        now, running = datetime.now(UTC), 0.0
        workers = []
        for one in self.workers:
            if one.launcher == "modal" and one.paid is None:
                end = self.launcher.inspect(one)
                if end is None:
                    running += one.rate * min(one.seconds, max(0.0, (now - one.launched_at).total_seconds()))
                else:
                    seconds = min(one.seconds, end.seconds)
                    cost = cost.add(one.sweep, seconds, seconds * one.rate)
                    one = one.model_copy(update={"paid": seconds * one.rate})
            workers.append(one)
        if cost is not self._journal.state.cost or abs(running - cost.running) > NOTED_COST:
            self._journal.update(workers=tuple(workers), cost=cost.model_copy(update={"running": running}))
