"""The workers of a sweep: started, noted in its state, and paid for under its cost cap."""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from multistage.domain.runs.reasons import find_reason
from multistage.domain.runs.slots import Slot
from multistage.domain.sweep.plan import RunOptions
from multistage.domain.sweep.state import State
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.driver.launching import stop_workers
from multistage.errors import CloudAwayError, LaunchError
from multistage.launchers.base import Launcher
from multistage.store.journal import Journal

NOTED_COST = 0.01
"""Dollars by which the running cost must have changed to be noted again."""
LEAVE_TIME = 20.0
"""Seconds that the last containers have to leave by themselves."""
AWAY_PAUSE = 15.0
"""Seconds between two launches while the cloud does not answer."""
LONGEST_AWAY = 2 * 3600.0
"""Seconds that the cloud may be away before the stage is given up; a resume goes on with it."""

logger = logging.getLogger(__name__)


class Roster:
    """Knows the workers of a sweep, and keeps them in its state.

    Args:
        journal: The sweep's state.
        launcher: Starts and ends them.
    """

    def __init__(self, journal: Journal, launcher: Launcher) -> None:
        self._journal = journal
        self.launcher = launcher
        self._proven = False
        """Whether any run has logged a row, so that more containers are worth their money."""
        self._has_launched = False
        self._away_since: float | None = None
        self._asked_at = 0.0

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

    @property
    def idle(self) -> float:
        """Seconds without a run after which a worker leaves."""
        return self._options.worker_idle

    def quote_last(self, sweep: str) -> str:
        """Quote what the last worker of a sweep said; empty where that is not known."""
        last = self._find_last(sweep)
        if last is None:
            return ""
        end = self.launcher.inspect(last)
        return end.reason if end and end.reason else self.launcher.read_last_words(last)

    def name_log(self, sweep: str) -> str:
        """Say in a sentence where the log of a sweep's last worker is; empty where it had none."""
        last = self._find_last(sweep)
        return f"The last one's log is {self.launcher.name_log(last)}." if last else ""

    def _find_last(self, sweep: str) -> WorkerRecord | None:
        return next((worker for worker in reversed(self.workers) if worker.sweep == sweep), None)

    def explain_waiting(self, sweep: str) -> str:
        """Say in a clause how many workers of a sweep wait to begin, and why; empty where none does."""
        return self.launcher.explain_waiting([worker for worker in self.workers if worker.sweep == sweep])

    def explain_failure(self, run_id: str) -> str:
        """Say why a run failed, by what it printed last."""
        return find_reason(self.launcher.read_failure(run_id).splitlines())

    def end_workers(self) -> None:
        """See the last paid workers out, so that what they cost is known; they leave when their sweep has ended."""
        if not self.launcher.traits.costs_money:
            return
        deadline = time.monotonic() + (LEAVE_TIME if self.launcher.traits.can_inspect else 0.0)
        while any(not self.launcher.inspect(worker) for worker in self.workers) and time.monotonic() < deadline:
            time.sleep(0.2)
        self.launcher.stop([worker for worker in self.workers if not self.launcher.inspect(worker)])
        self.settle_costs()
        self._journal.update(**add_up(self._journal.state, self.workers, {}))

    def end_strangers(self, logs: Path) -> None:
        """End the workers of another launcher or interpreter than the sweep's, as a resume with another one finds them.

        Args:
            logs: The folder of the sweep's logs.

        Raises:
            LaunchError: Something survived, or what runs it cannot be reached.
        """
        strangers = [worker for worker in self.workers if not self.launcher.adopts(worker)]
        if not strangers:
            return
        ended = {worker.worker_id: worker for worker in stop_workers(strangers, logs)}
        workers = [ended.get(worker.worker_id, worker) for worker in self.workers]
        self._journal.update(**add_up(self._journal.state, workers, {}))

    def learn(self, slots: Mapping[int, Slot]) -> None:
        """Learn from a stage's runs whether more containers are worth their money.

        Raises:
            LaunchError: If a training cannot import what it needs, before any run has logged a row.
        """
        # A run that fails leaves its reason in its summary, which is no row.
        self._proven = self._proven or any(set(slot.last.logged) - {"error"} for slot in slots.values())
        if self._proven or not self.launcher.traits.needs_canary:
            return
        for slot in slots.values():
            if slot.outcome == "failed" and (error := self.launcher.judge_training(slot.decisive.error)):
                raise error

    def launch(self, sweep: str, count: int) -> Sequence[WorkerRecord]:
        """Start workers for a sweep (``entity/project/id``) and note each in the state as it starts.

        The first may be a canary, and none is started that could pass the cost cap: there may be fewer than
        ``count``. While the cloud does not answer there are none, and a later call asks again. Dead workers of the same
        sweep stay noted: a training may have outlived one.

        Raises:
            LaunchError: If they cannot be started, or the cloud has been away for too long.
        """
        count = min(count, self._count_allowed(sweep))
        if count <= 0 or (self._away_since is not None and time.monotonic() - self._asked_at < AWAY_PAUSE):
            return []
        known = [worker for worker in self.workers if worker.sweep == sweep or self.launcher.is_alive(worker)]
        started: dict[str, WorkerRecord] = {}
        asked_before, self._asked_at = self._asked_at, time.monotonic()
        try:
            for worker in self.launcher.launch(sweep, count):
                started[worker.worker_id] = worker
                self._journal.update(workers=(*known, *started.values()))
        except CloudAwayError as error:
            self._wait_out(error, asked_before)
            return [one for one in started.values() if one.is_started]
        except LaunchError:  # for certain, so those that were to come never will
            self._journal.update(workers=(*known, *(one for one in started.values() if one.is_started)))
            raise
        self._has_launched, self._away_since = True, None
        return list(started.values())

    def _wait_out(self, error: CloudAwayError, asked_before: float) -> None:
        """Bear that the cloud does not answer for a while, once it has answered at all."""
        if not self._has_launched and not any(
            worker.is_started and self.launcher.adopts(worker) for worker in self.workers
        ):
            raise error
        if self._away_since is None or self._asked_at - asked_before > 2 * AWAY_PAUSE:
            self._away_since = self._asked_at
            logger.warning("%s Asking again every %g s.", error.message, AWAY_PAUSE)
        elif self._asked_at - self._away_since > LONGEST_AWAY:
            raise error

    def _count_allowed(self, sweep: str) -> int:
        """Count the workers that may be started now."""
        alive = self.list_alive(sweep)
        affordable = self._count_affordable()
        is_proven = self._proven or self._journal.state.stages_completed
        return affordable if is_proven or not self.launcher.traits.needs_canary else min(1 - len(alive), affordable)

    def _count_affordable(self) -> int:
        options, cost = self._options, self._journal.state.cost
        fee = self.launcher.fee
        if options.max_cost is None or cost is None or fee is None:
            return options.workers
        reserved = sum(worker.fee.most for worker in self.workers if worker.fee and worker.is_paid)
        return int((options.max_cost - cost.ended - reserved) / fee.most)

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
        for worker in self.workers:
            if worker.sweep != sweep:
                continue
            end = self.launcher.inspect(worker)
            if end is None:
                alive.append(worker)
            elif end.fault == "setup":
                log = self.launcher.name_log(worker)
                raise LaunchError(f"Workers cannot run: {end.reason}", f"A worker's log is {log}.")
        return alive

    def settle_costs(self) -> None:
        """Note which paid workers have ended, what they have cost, and what those that work have cost so far."""
        cost = self._journal.state.cost
        if cost is None:
            return
        workers = []
        running: dict[str, float] = defaultdict(float)
        for one in self.workers:
            if one.is_paid:
                end = self.launcher.inspect(one)
                one = one.model_copy(update={"end": end})
                if end is None:
                    running[one.sweep] += one.price(datetime.now(UTC))
                elif end.fault == "machine":
                    logger.warning("Worker %s was lost: %s", one.worker_id, end.reason)
            workers.append(one)
        changes = add_up(self._journal.state, workers, running)
        after = changes["cost"]
        if after.ended != cost.ended or abs(after.running - cost.running) > NOTED_COST:
            self._journal.update(**changes)


def add_up(state: State, workers: Sequence[WorkerRecord], running: Mapping[str, float]) -> dict[str, Any]:
    """Return what changes in a state when some of its workers have ended.

    Args:
        state: The sweep's.
        workers: All its workers as they are now.
        running: Dollars of those that work, by their sweep.
    """
    cost = state.cost
    paid = {worker.worker_id for worker in state.workers if worker.end}
    for worker in workers:
        if cost and worker.fee and worker.end and worker.worker_id not in paid:
            dollars = worker.price(datetime.now(UTC))
            cost = cost.add(worker.sweep, dollars / worker.fee.rate if worker.fee.rate else 0.0, dollars)
    used = {record.sweep_id: (int(record.stage), record.runs_completed) for record in state.stages_completed}
    if state.current_stage is not None and state.current_stage.sweep_id is not None:
        used[state.current_stage.sweep_id] = (int(state.current_stage.stage), state.current_stage.used)
    return {"workers": tuple(workers), "cost": cost.total(running, used) if cost else None}


def end_workers(state: State, logs: Path) -> dict[str, Any]:
    """End a sweep's workers by their records alone, from any process; returns what that changes in its state.

    Args:
        state: The sweep's.
        logs: The folder of its logs.

    Raises:
        LaunchError: Something survived, or what runs it cannot be reached.
    """
    ended = stop_workers(state.workers, logs)
    return add_up(state, ended, {}) | {"workers": ()}
