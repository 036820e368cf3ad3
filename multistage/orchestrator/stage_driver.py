"""Drives one stage: fills its sweep with slots, keeps workers at it, and settles every slot.

The loop asks the tracker what changed, settles slots, asks the search for configs, enqueues them, and sees to the
workers. It keeps no truth of its own: started again after a crash it finds every slot in the sweep's runs.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from multistage.domain.plan import StagePlan, SweepSettings, derive_seed
from multistage.domain.results import Config, Evaluation
from multistage.domain.slots import MAX_ATTEMPTS, RunRecord, Slot, SlotName, evaluate_slot, settle_slots
from multistage.domain.space import SearchSpace
from multistage.domain.state import StageProgress
from multistage.domain.vigilance import Intake, StallWatch, find_bad_worker
from multistage.errors import AllRunsFailedError, LaunchError, MetricMissingError, SweepFailedError, TrackerError
from multistage.search.multistage import Proposal, StagedSearch

SUSPICIOUS = 3
"""So many runs of a stage, all that have ended and all failed, and a resume trains them again."""
HOPELESS = 20
"""So many runs of a stage, all failed by their config's fault, and the stage is given up before its budget is gone."""


ASK_EVERY = 20.0
"""Seconds between two questions whether the sweep still takes runs."""


class Tracker(Protocol):
    """What the driver needs of a sweep; `multistage.orchestrator.sweep_tracker` puts the wandb client behind it."""

    records: dict[str, RunRecord]
    interval: float
    """Seconds to wait before the next look."""

    def read(self) -> Sequence[RunRecord]:
        """Read the runs that changed into `records`."""
        ...

    def enqueue(self, name: SlotName, config: Config, seed: int | None) -> None:
        """Queue an attempt at a slot."""
        ...

    def stop(self, run: RunRecord) -> None:
        """Ask a run to stop; it is settled as lost, and its slot trained again."""
        ...

    def read_intake(self) -> Intake:
        """Read whether the sweep was finished, cancelled or paused."""
        ...

    def endure(self, error: TrackerError) -> None:
        """Bear that the server did not answer; raise the error where it has been away for too long."""
        ...


class Fleet(Protocol):
    """The stage's workers; `multistage.orchestrator.worker_fleet` puts a launcher behind it."""

    exhausted: bool
    """Whether nobody works any more and nobody else can be paid."""

    def tend(self, waiting: int, training: int, progressed: bool) -> None:
        """Start workers where some are missing for the runs that wait; raise LaunchError where they keep dying."""
        ...

    def retire(self, worker_id: str) -> None:
        """End one worker; another takes its place."""
        ...

    def explain_failure(self, run: RunRecord) -> str:
        """Say why a run failed, in a line; empty where nothing is known."""
        ...


class StageDriver:
    """One stage's loop.

    Args:
        settings: The sweep's settings.
        stage: The stage's share of the budget.
        box: The ranges that this stage searches.
        earlier: Used slots of the stages before.
        search: Proposes the configs.
        tracker: The stage's sweep.
        fleet: The stage's workers.
        ahead: Runs that may be queued beyond those that train: the number of workers.
        report: Told of every change.
        warn: Told of what people should know: a stalled run, a retired worker.
        stall_after: Seconds without a new row after which a run is stopped; None adapts to the runs seen.
        is_overdue: Whether the stage's deadline has passed.
    """

    def __init__(
        self,
        *,
        settings: SweepSettings,
        stage: StagePlan,
        box: SearchSpace,
        earlier: Sequence[Evaluation],
        search: StagedSearch,
        tracker: Tracker,
        fleet: Fleet,
        ahead: int,
        report: Callable[[Mapping[int, Slot]], None],
        warn: Callable[[str], None] = lambda _: None,
        stall_after: float | None = None,
        is_overdue: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings = settings
        self._stage = stage
        self._box = box
        self._earlier = tuple(earlier)
        self._search = search
        self._tracker = tracker
        self._fleet = fleet
        self._ahead = ahead
        self._report = report
        self._warn = warn
        self._stalls = StallWatch(stall_after)
        self._retired: set[str] = set()
        self._is_overdue = is_overdue
        self._proposes = settings.search == "gp"
        self._planned = search.plan_stage1() if stage.stage == 1 and self._proposes else []
        self._asked_at = time.monotonic()
        self._intake: Intake = "open"
        """At the last question."""
        self._seen_ended = False
        """Whether a sweep that W&B's engine fills had ended at the last look, with all its runs."""
        self._sent: dict[int, tuple[SlotName, Config]] = {}
        """Enqueued by this process and not yet seen in the tracker, by slot."""
        self._pardoned: Mapping[int, int] | None = None
        """Slots whose failure does not count, with the attempt that failed; None before the first look."""

    def drive(self) -> Mapping[int, Slot]:
        """Work until every slot of the stage is used.

        Returns:
            The slots by index; as many used ones as the stage has runs, or fewer where the cost cap or a
            deadline ended it.

        Raises:
            MetricMissingError: If runs finish without logging the metric.
            AllRunsFailedError: If every run fails.
            LaunchError: If workers keep dying.
            TrackerError: If the server cannot be reached.
        """
        while True:
            try:
                slots = self._advance()
                if self._is_done(slots):
                    return slots
            except TrackerError as error:
                self._tracker.endure(error)
            time.sleep(self._tracker.interval)

    def _is_done(self, slots: Mapping[int, Slot]) -> bool:
        used = sum(slot.status == "used" for slot in slots.values())
        if used >= self._stage.runs or self._fleet.exhausted or self._is_overdue():
            return True
        now = time.monotonic()
        if now - self._asked_at < ASK_EVERY:
            return False
        self._asked_at = now
        if self._ask_intake() != "ended":
            return False
        if not self._proposes and not (used == len(slots) and self._seen_ended):
            # Its runs may go on after it has ended, and its list of them be older than its state.
            self._seen_ended = used == len(slots)
            return False
        raise SweepFailedError(
            f"The sweep of stage {self._stage.stage} was ended from outside, with {used} of its "
            f"{self._stage.runs} runs done.",
            "A resume opens it again and goes on.",
        )

    def _ask_intake(self) -> Intake:
        before, self._intake = self._intake, self._tracker.read_intake()
        if self._intake == "paused" and before != "paused":
            self._warn(f"The sweep of stage {self._stage.stage} is paused; it goes on when it is resumed, on its page.")
        return self._intake

    def _advance(self) -> Mapping[int, Slot]:
        """Look once, and do what is due."""
        progressed = bool(self._tracker.read())
        slots = settle_slots(self._tracker.records.values(), MAX_ATTEMPTS if self._proposes else 1)
        for index, slot in slots.items():
            sent = self._sent.get(index)
            if sent is not None and slot.last.name.attempt >= sent[0].attempt:
                del self._sent[index]
        slots = self._pardon(slots)
        self._check(slots)
        self._watch(slots)
        if self._proposes:
            self._fill(slots)
        self._report(slots)
        self._tend(slots, progressed)
        return slots

    def _tend(self, slots: Mapping[int, Slot], progressed: bool) -> None:
        """See to the workers; while a sweep is paused it gives them nothing."""
        open_slots = [slot for index, slot in slots.items() if slot.status == "open" and index not in self._sent]
        training = sum(slot.last.phase == "active" for slot in open_slots)
        waiting = len(open_slots) - training + len(self._sent)
        if not self._proposes:
            waiting += self._stage.runs - len(slots)
        try:
            self._fleet.tend(0 if self._intake == "paused" else waiting, training, progressed)
        except LaunchError:
            if self._ask_intake() != "paused":  # where workers find nothing and leave
                raise

    def _pardon(self, slots: Mapping[int, Slot]) -> Mapping[int, Slot]:
        """Give the slots of a stage in which nothing but failures was seen another chance, once a resume.

        What made them all fail was no config, and may be mended by now.
        """
        if self._pardoned is None:
            failed = {index: slot.last.name.attempt for index, slot in slots.items() if slot.outcome == "failed"}
            self._pardoned = failed if self._proposes and self._failed_whole(slots, SUSPICIOUS) else {}
        return {
            index: slot.model_copy(update={"status": "retry", "outcome": None})
            if self._pardoned.get(index) == slot.last.name.attempt
            else slot
            for index, slot in slots.items()
        }

    def _failed_whole(self, slots: Mapping[int, Slot], enough: int) -> bool:
        used = [slot for slot in slots.values() if slot.status == "used"]
        return len(used) >= min(self._stage.runs, enough) and all(slot.outcome == "failed" for slot in used)

    def _check(self, slots: Mapping[int, Slot]) -> None:
        used = [slot for slot in slots.values() if slot.status == "used"]
        finished = [slot for slot in used if slot.outcome == "finished"]
        if finished and all(slot.decisive.value is None for slot in used) and len(finished) >= min(2, self._stage.runs):
            logged = sorted({key for slot in finished for key in slot.decisive.logged})
            raise MetricMissingError(
                f"{len(finished)} runs of stage {self._stage.stage} finished, and none logged the metric "
                f"{self._settings.metric!r}.",
                f"They logged: {', '.join(logged)}. Name one with --metric."
                if logged
                else "They logged nothing at all: does the training call wandb.log?",
            )
        if self._failed_whole(slots, HOPELESS):
            first = min(used, key=lambda slot: slot.index).decisive
            reason = first.error or self._fleet.explain_failure(first)
            raise AllRunsFailedError(
                f"All {len(used)} runs of stage {self._stage.stage} failed. The first, {first.run_id}, said: "
                f"{reason or 'nothing; its log is in the folder logs/ of the sweep'}.",
                "Try one run by hand with the same hyperparameters; a resume trains them all again.",
            )

    def _watch(self, slots: Mapping[int, Slot]) -> None:
        for run in self._stalls.find_stalled(self._tracker.records.values(), time.monotonic()):
            self._warn(f"Run {run.run_id} ({run.name}) has logged nothing new for too long and is stopped.")
            self._tracker.stop(run)
        bad = find_bad_worker(slots)
        if bad is not None and bad not in self._retired:
            self._retired.add(bad)
            self._warn(f"Worker {bad} is retired: its last three runs failed at once, and none elsewhere did.")
            self._fleet.retire(bad)

    def _fill(self, slots: Mapping[int, Slot]) -> None:
        for index, slot in slots.items():
            if slot.status == "retry" and index not in self._sent:
                name = SlotName(stage=self._stage.stage, index=index, attempt=slot.last.name.attempt + 1)
                self._enqueue(name, slot.last.config)
        if self._stage.stage == 1:
            for index, config in enumerate(self._planned):
                if index not in slots and index not in self._sent:
                    self._enqueue(SlotName(stage=1, index=index), config)
        known = set(slots) | set(self._sent)
        waiting = len(self._sent) + sum(
            slot.status == "open" and slot.last.phase == "queued" for slot in slots.values()
        )
        wanted = min(self._ahead - waiting, self._stage.runs - len(known))
        if wanted <= 0:
            return
        free = (index for index in range(self._stage.runs) if index not in known)
        for index, proposal in zip(free, self._propose(slots, len(known), wanted), strict=False):
            self._enqueue(SlotName(stage=self._stage.stage, index=index), proposal.config)

    def _propose(self, slots: Mapping[int, Slot], used: int, count: int) -> Sequence[Proposal]:
        finalists_from = self._stage.runs - self._stage.finalists
        evaluations = [*self._earlier]
        pending = [
            Proposal(config=config, finalist=index >= finalists_from) for index, (_, config) in self._sent.items()
        ]
        for index, slot in slots.items():
            evaluation = evaluate_slot(self._stage.stage, slot)
            if evaluation is not None:
                evaluations.append(evaluation)
            elif index not in self._sent:
                pending.append(Proposal(config=slot.last.config, finalist=index >= finalists_from))
        stage = self._stage.stage
        if stage == 1:
            return []
        return self._search.propose(stage, self._box, evaluations, pending, used, count)

    def _enqueue(self, name: SlotName, config: Config) -> None:
        takes_seed = self._settings.seed_parameter is not None
        seed = derive_seed(self._settings, name.stage, name.index) if takes_seed else None
        self._tracker.enqueue(name, config, seed)
        self._sent[name.index] = (name, config)


def measure_progress(progress: StageProgress, slots: Mapping[int, Slot], goal: str) -> StageProgress:
    """Count where a stage stands."""
    used = [slot for slot in slots.values() if slot.status == "used"]
    values = [
        slot.decisive.value for slot in used
        if slot.outcome == "finished" and slot.decisive.value is not None and abs(slot.decisive.value) < float("inf")
    ]  # fmt: skip
    best = (max if goal == "maximize" else min)(values, default=None)
    return progress.model_copy(
        update={
            "used": len(used),
            "running": sum(slot.last.phase == "active" for slot in slots.values()),
            "queued": sum(slot.last.phase == "queued" for slot in slots.values()),
            "failed": sum(slot.outcome == "failed" for slot in used),
            "attempts_lost": sum(slot.lost for slot in slots.values()),
            "best_metric": best,
        }
    )
