"""The unit of a budget: slots, and the runs that are their attempts.

A slot is one place of a stage's budget: (stage, index, config, seed). Each attempt at it is one run, named
``s<stage>-<index>`` and, when the machine lost an earlier attempt, ``s<stage>-<index>-r<attempt>``. A slot is used
when an attempt finishes, is stopped early, or fails by its config's fault; an attempt lost to the machine is made
again, at most twice, and then the slot counts as failed. Where every run of a stage has failed, whatever made them fail
was no config, and a resume tries them again: an attempt after a failed one stands for it. A run that failed by the
setup (the program never reached the tracker) is no attempt at all: its slot is trained again as often as it takes.
"""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Literal

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Evaluation, Outcome

MAX_ATTEMPTS = 3
"""Attempts at a slot, the first one included."""
RESUMED_ATTEMPTS = 50
"""The same where each attempt goes on where the one before was lost: a preempted one is no sign that all would be."""

FAULT_KEY = "_multistage_fault"
"""In a failed run's summary, by whose fault it failed where that was not the config's: `SETUP`."""
SETUP = "setup"
"""The fault of what all configs share: no other would fare better."""
NOTE_KEY = "_multistage_note"
"""In the summary of a run that counts: what people should know of it."""

RunPhase = Literal["queued", "active", "finished", "stopped", "failed", "lost"]

SlotStatus = Literal["open", "retry", "used"]
"""Being worked on; lost and to be tried again; settled."""

_NAME = re.compile(r"^s(?P<stage>[1-3])-(?P<index>\d{4,})(?:-r(?P<attempt>[1-9]\d*))?$")


def classify_run(state: str, stop_requested: bool = False, fault: str = "") -> RunPhase:
    """Return what a run's state means for its slot. The only place that decides whether a run has ended, and why.

    Args:
        state: W&B's word: pending, running, preempting, finished, failed, crashed, killed or preempted.
        stop_requested: Whether the sweep's early termination asked the run to stop.
        fault: What the worker has written under `FAULT_KEY`.
    """
    if state == "failed" and fault == SETUP:
        return "lost"
    match state:
        case "pending" | "preempted":  # a server hands a preempted run out again
            return "queued"
        case "finished":
            return "stopped" if stop_requested else "finished"
        case "failed":
            return "stopped" if stop_requested else "failed"
        case "crashed" | "killed":
            return "stopped" if stop_requested else "lost"
        case _:
            return "active"


class SlotName(Model):
    """The display name of a run: which slot, and which attempt at it."""

    stage: int
    index: int
    attempt: int = 0

    def __str__(self) -> str:
        retry = f"-r{self.attempt}" if self.attempt else ""
        return f"s{self.stage}-{self.index:04d}{retry}"


def parse_slot_name(text: str) -> SlotName | None:
    """Read a run's display name; None where it is not one of ours."""
    found = _NAME.match(text)
    if found is None:
        return None
    return SlotName(stage=int(found["stage"]), index=int(found["index"]), attempt=int(found["attempt"] or 0))


class RunRecord(Model):
    """One run of a sweep, as the tracker holds it."""

    run_id: str
    name: SlotName
    phase: RunPhase
    config: Config
    seed: int | None = None
    value: float | None = None
    """The metric by ``--metric-value``; None where it was not logged."""
    logged: tuple[str, ...] = ()
    """The keys that the run has logged, the tracker's own (with a leading underscore) left out."""
    error: str = ""
    """Why it failed, in one line, where the run said so."""
    created_at: datetime | None = None
    began_at: datetime | None = None
    """When its training began, which may be long after it was queued; None where the run has not said."""
    heartbeat_at: datetime | None = None
    """Its last sign of life; of a run that has ended, its end."""
    finalist: bool = False
    rows: int = 0
    """Rows logged so far."""
    runtime: float | None = None
    """Seconds that it has trained; None where it has not said."""
    fault: str = ""
    """By whose fault it failed, where that was not the config's: `SETUP`."""
    note: str = ""
    """What people should know of it although it counts."""
    worker: str | None = None
    """The worker that trains it, where the run tells."""


class Slot(Model):
    """A slot with its attempts so far."""

    index: int
    attempts: tuple[RunRecord, ...]
    status: SlotStatus
    outcome: Outcome | None = None
    """Set when the slot is used."""

    @cached_property
    def last(self) -> RunRecord:
        """The latest attempt."""
        return self.attempts[-1]

    @cached_property
    def decisive(self) -> RunRecord:
        """The attempt that settled the slot, else the latest one."""
        good = [run for run in self.attempts if run.phase in ("finished", "stopped")]
        failed = [run for run in self.attempts if run.phase == "failed"]
        return good[0] if good else failed[-1] if failed else self.attempts[-1]

    @cached_property
    def lost(self) -> int:
        """Number of attempts that do not count: the machine lost them, or a later one stands for them."""
        return sum(run.phase == "lost" or (run.phase == "failed" and run is not self.decisive) for run in self.attempts)


def count_attempts(proposes: bool, resumable: bool = False) -> int:
    """Count the attempts that a slot may have: one where W&B's engine proposes, which knows no slots.

    Args:
        proposes: Whether this project proposes the configs.
        resumable: Whether each attempt goes on where the one before was lost, so that none is for nothing.
    """
    if not proposes:
        return 1
    return RESUMED_ATTEMPTS if resumable else MAX_ATTEMPTS


def settle_slot(index: int, attempts: Iterable[RunRecord], max_attempts: int = MAX_ATTEMPTS) -> Slot:
    """Decide where a slot stands from its attempts.

    An attempt that was given up as lost and reported again later still settles its slot: the first attempt that ended
    well counts, and any other is surplus. A failed one counts unless another is under way after it.
    """
    ordered = tuple(sorted(attempts, key=lambda run: run.name.attempt))
    for run in ordered:
        if run.phase == "finished" or run.phase == "stopped":
            return Slot(index=index, attempts=ordered, status="used", outcome=run.phase)
    phases = [run.phase for run in ordered]
    since_failure = phases[len(phases) - phases[::-1].index("failed") :] if "failed" in phases else phases
    if "queued" in since_failure or "active" in since_failure:
        return Slot(index=index, attempts=ordered, status="open")
    if "failed" in phases:
        return Slot(index=index, attempts=ordered, status="used", outcome="failed")
    attempts_made = sum(run.fault != SETUP for run in ordered) if max_attempts > 1 else len(ordered)
    if attempts_made < max_attempts:
        return Slot(index=index, attempts=ordered, status="retry")
    return Slot(index=index, attempts=ordered, status="used", outcome="failed")


class Slots(dict[int, Slot]):
    """A stage's slots by index, and what is counted of them, so that nobody has to go through all of them.

    Args:
        slots: In the order of their indices.
    """

    def __init__(self, slots: Iterable[Slot] = ()) -> None:
        super().__init__()
        self.unsettled: dict[int, Slot] = {}
        """Those that are not used."""
        self.live: dict[str, RunRecord] = {}
        """Attempts that are queued or being trained, by the run's id; of used slots too."""
        self.finished: dict[int, float | None] = {}
        """What those reached that count as finished."""
        self.valued: set[int] = set()
        """Used ones with a value, whatever their outcome."""
        self.finite: set[int] = set()
        """Those of them whose value is neither NaN nor infinite."""
        self.failed: set[int] = set()
        """Used ones that failed."""
        self.failures: dict[int, int] = {}
        """Attempts that failed, where there are any."""
        self.lost: dict[int, int] = {}
        """Attempts that do not count, where there are any."""
        self._evaluations: dict[int, Evaluation] = {}
        for slot in slots:
            self.put(slot)

    @property
    def used(self) -> int:
        """How many are used."""
        return len(self) - len(self.unsettled)

    def list_evaluations(self) -> list[Evaluation]:
        """List what the used ones tell the search, in the order of the slots."""
        return [self._evaluations[index] for index in self if index in self._evaluations]

    def put(self, slot: Slot) -> None:
        """Take in a slot, new or changed."""
        index, before = slot.index, self.get(slot.index)
        for run in before.attempts if before else ():
            self.live.pop(run.run_id, None)
        for kept in (self.unsettled, self.finished, self.failures, self.lost, self._evaluations):
            kept.pop(index, None)
        self.valued.discard(index)
        self.finite.discard(index)
        self.failed.discard(index)
        self[index] = slot
        self.live.update({run.run_id: run for run in slot.attempts if run.phase in ("queued", "active")})
        failures = sum(run.phase == "failed" for run in slot.attempts)
        self.failures |= {index: failures} if failures else {}
        self.lost |= {index: slot.lost} if slot.lost else {}
        if slot.status != "used":
            self.unsettled[index] = slot
            return
        self._evaluations[index] = _evaluate(slot)
        if slot.decisive.value is not None:
            self.valued.add(index)
            if math.isfinite(slot.decisive.value):
                self.finite.add(index)
        if slot.outcome == "finished":
            self.finished[index] = slot.decisive.value
        elif slot.outcome == "failed":
            self.failed.add(index)


def settle_slots(runs: Iterable[RunRecord], max_attempts: int = MAX_ATTEMPTS) -> Slots:
    """Group a stage's runs by slot, in the order of their indices.

    Args:
        runs: All runs of the stage.
        max_attempts: Attempts at a slot; 1 where the server proposes, whose own cap counts lost runs too.
    """
    return SlotTable(max_attempts).settle({run.run_id: run for run in runs})


class SlotTable:
    """A stage's slots over time: each is settled anew only when a run of it has changed.

    Args:
        max_attempts: As of `settle_slots`.
    """

    def __init__(self, max_attempts: int = MAX_ATTEMPTS) -> None:
        self._max_attempts = max_attempts
        self._seen: dict[str, RunRecord] = {}
        self._attempts: dict[int, dict[str, RunRecord]] = {}
        self._slots = Slots()

    def settle(self, runs: Mapping[str, RunRecord]) -> Slots:
        """Group all runs of the stage by slot, in the order of their indices.

        Args:
            runs: All of them, by id. A run that has changed is another record.

        Returns:
            The slots; the next call changes them.
        """
        seen = self._seen
        changed = {run_id: run for run_id, run in runs.items() if seen.get(run_id) is not run}
        moved = any(run_id in seen and seen[run_id].name != run.name for run_id, run in changed.items())
        seen |= changed
        if moved or len(seen) > len(runs):  # more than were given: some are gone
            self._seen, self._attempts, self._slots = {}, {}, Slots()
            return self.settle(runs)
        for run_id, run in changed.items():
            self._attempts.setdefault(run.name.index, {})[run_id] = run
        indices = sorted({run.name.index for run in changed.values()})
        settled = [settle_slot(index, self._attempts[index].values(), self._max_attempts) for index in indices]
        last = next(reversed(self._slots), -1)
        for slot in settled:
            self._slots.put(slot)
        if any(slot.index < last for slot in settled):
            self._sort()
        return self._slots

    def _sort(self) -> None:
        indices = list(self._slots)
        if indices != sorted(indices):
            self._slots = Slots(self._slots[index] for index in sorted(indices))


def _evaluate(slot: Slot) -> Evaluation:
    assert slot.outcome is not None  # noqa: S101 - as a used slot has
    run = slot.decisive
    return Evaluation(
        stage=run.name.stage,
        index=slot.index,
        config=run.config,
        outcome=slot.outcome,
        value=run.value if slot.outcome != "failed" else None,
        seed=run.seed,
        run_id=run.run_id,
        finalist=run.finalist,
    )
