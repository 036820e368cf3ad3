"""The states of a run, and who is alive.

A run reports through its file stream, and its agent vouches for it in every heartbeat. A run without either
for a while is settled as ``crashed`` (``killed`` when it was asked to stop, ``preempted`` when it said so
before and may be handed out again). Signs of life are kept in memory: after a restart every live run gets a
fresh deadline.
"""

import time
from dataclasses import dataclass
from typing import Literal, get_args

from multistage.domain.runs.slots import MAX_ATTEMPTS, RESUMED_ATTEMPTS
from multistage.wandb_server.nodes import get_run
from multistage.wandb_server.store import Row, Store

RunState = Literal["pending", "running", "preempting", "finished", "failed", "crashed", "killed", "preempted"]
RUN_STATES: tuple[RunState, ...] = get_args(RunState)
LIVE_STATES = ("pending", "running", "preempting")
ENDED_SWEEPS = ("CANCELED", "FINISHED")
LIVE = "state IN ('pending', 'running', 'preempting')"
"""As SQL; the same words as in the partial indexes."""

CONSOLE_SUFFIX = "-scheduler"
"""What the run is called, after its sweep, that holds the console of `wandb sweep-scheduler`."""

SIGNALLED = 128
"""Exit codes above it tell of signals."""
INTERRUPTED = 255
"""The exit code that wandb reports for a run ended by Ctrl+C or by a request to stop."""


@dataclass(frozen=True)
class Timing:
    """Seconds after which silence means an end."""

    run_timeout: float = 60.0
    """No sign of life at all, neither from the run nor from its agent."""
    final_grace: float = 3.0
    """The agent says that the process is gone: time for what the run may still send."""
    detached_grace: float = 35.0
    """The agent says that it is gone, yet it went on reporting. wandb reports every 30 s at least."""


class Lifecycle:
    """Moves runs between their states.

    Args:
        store: Where the runs are.
        timing: When silence means an end.
    """

    def __init__(self, store: Store, timing: Timing) -> None:
        self.store = store
        self.timing = timing
        now = time.monotonic()
        # A run made in state pending by hand has no agent, and may wait for ever.
        live = store.all(
            f"SELECT id FROM runs WHERE {LIVE} AND NOT (state = 'pending' AND agent_id IS NULL)"  # noqa: S608
        )
        self._signs: dict[int, float] = {row["id"]: now for row in live}
        self._missing: dict[int, float] = {}
        self._detached: set[int] = set()

    def watch(self, run_id: int) -> None:
        """Expect signs of life of a run from now on."""
        self._signs[run_id] = time.monotonic()

    def keep_alive(self, run_id: int) -> None:
        """Note that a run's agent says that the run's process lives."""
        self._signs[run_id] = time.monotonic()
        self._missing.pop(run_id, None)
        self._detached.discard(run_id)

    def miss(self, run_id: int) -> None:
        """Note that a run's agent says that the run's process is gone."""
        self._missing.setdefault(run_id, time.monotonic())

    def report(self, run: Row) -> None:
        """Note that the run itself reported: it runs, whatever was thought of it."""
        self._signs[run["id"]] = time.monotonic()
        if self._missing.pop(run["id"], None) is not None:
            self._detached.add(run["id"])
        now = self.store.tick()
        if run["state"] in ("pending", "crashed"):
            self.store.update(
                "runs",
                run["id"],
                state="running",
                started_at=run["started_at"] or now,
                heartbeat_at=now,
                ended_at=None,
                exitcode=None,
            )
        else:
            self.store.update("runs", run["id"], heartbeat_at=now)

    def request_stop(self, run: Row) -> None:
        """Ask a live run to end itself; its agent and its file stream pass it on. One that waits never starts."""
        if run["state"] == "preempted" or (run["state"] == "pending" and run["agent_id"] is None):
            self.store.execute("DELETE FROM queue WHERE run_id = ?", (run["id"],))
            self.store.update("runs", run["id"], stop_requested=1)
            self.settle(run["id"], "killed", None)
        elif run["state"] in LIVE_STATES and not run["stop_requested"]:
            self.store.update("runs", run["id"], stop_requested=1, heartbeat_at=self.store.tick())

    def announce(self, run: Row, rows: int) -> None:
        """Note that a live run says that it will be preempted.

        One that says so after it has logged rows has heard of its machine's end. One that says so at its beginning, as
        scripts do that may be preempted at any time, may as well fail by itself.

        Args:
            run: Which one.
            rows: How many rows it had before it said so.
        """
        if run["state"] in LIVE_STATES and run["state"] != "preempting":
            failed = -1 if rows > run["attempt_row"] else run["failed_attempts"]
            self.store.update(
                "runs", run["id"], state="preempting", failed_attempts=failed, heartbeat_at=self.store.tick()
            )

    def complete(self, run: Row, exitcode: int) -> None:
        """Settle a run that said that it is done."""
        state: RunState
        if exitcode == 0:
            state = "finished"
        elif run["stop_requested"]:
            state = "killed"
        elif run["state"] == "preempting":
            state = self._preempt(run, exitcode)
        elif exitcode == INTERRUPTED:
            state = "killed"
        else:
            state = "failed"
        self.settle(run["id"], state, exitcode)

    def give_up(self, run: Row) -> None:
        """Settle a run that ended without a message."""
        state: RunState
        if run["stop_requested"]:
            state = "killed"
        elif run["state"] == "preempting":
            state = self._preempt(run, None)
        elif self._is_console(run):
            # The client leaves its end to the server.
            state = "finished"
        else:
            state = "crashed"
        self.settle(run["id"], state, None)

    def _preempt(self, run: Row, exitcode: int | None) -> RunState:
        """Say whether a run that was to be preempted waits to be handed out again, which a sweep does only so often."""
        failed = run["failed_attempts"] + 1 if exitcode is not None and 0 < exitcode < SIGNALLED else 0
        self.store.update("runs", run["id"], failed_attempts=failed)
        if run["sweep"] is None or (failed < MAX_ATTEMPTS and run["preemptions"] + 1 < RESUMED_ATTEMPTS):
            return "preempted"
        return "crashed" if exitcode is None else "failed"

    def _is_console(self, run: Row) -> bool:
        names = (run["project_id"], run["name"].removesuffix(CONSOLE_SUFFIX))
        return run["name"] != names[1] and bool(
            self.store.value("SELECT 1 FROM sweeps WHERE project_id = ? AND name = ?", names)
        )

    def settle(self, run_id: int, state: RunState, exitcode: int | None) -> None:
        """Put a run into a state that lasts."""
        self.forget(run_id)
        now = self.store.tick()
        self.store.update("runs", run_id, state=state, exitcode=exitcode, heartbeat_at=now, ended_at=now)

    def forget(self, run_id: int) -> None:
        """Expect nothing more of a run."""
        self._signs.pop(run_id, None)
        self._missing.pop(run_id, None)
        self._detached.discard(run_id)

    def reap(self) -> list[int]:
        """Settle every run whose silence has lasted too long; returns their ids."""
        now = time.monotonic()
        silent = [run_id for run_id, sign in self._signs.items() if now - sign > self.timing.run_timeout]
        for run_id, since in self._missing.items():
            detached = run_id in self._detached
            grace = self.timing.detached_grace if detached else self.timing.final_grace
            if now - max(since, self._signs.get(run_id, since) if detached else since) > grace:
                silent.append(run_id)
        reaped = sorted(set(silent))
        if reaped:
            with self.store.transaction():
                for run_id in reaped:
                    run = get_run(self.store, run_id)
                    if run["state"] in LIVE_STATES:
                        self.give_up(run)
                    else:
                        self.forget(run_id)
        return reaped
