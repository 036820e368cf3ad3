"""Drives one stage: fills its sweep with slots, keeps workers at it, and settles every slot.

The loop asks the tracker what changed, settles slots, asks the search for configs, enqueues them, and sees to the
workers. It keeps no truth of its own: started again after a crash it finds every slot in the sweep's runs. Before
anything is given up or replaced, all of these are read once more: the last looks saw only what a filter let through.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.runs.slots import RunRecord, SlotName, Slots, SlotTable, count_attempts
from multistage.domain.runs.vigilance import FAILURES_IN_A_ROW, Intake, StallWatch, find_bad_worker
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import StagePlan, SweepSettings, derive_seed
from multistage.domain.sweep.state import StageProgress
from multistage.driver.stage_protocols import Fleet, Tracker
from multistage.driver.stage_verdict import StageVerdict, has_failed_whole
from multistage.errors import (
    AllRunsFailedError,
    LaunchError,
    MetricMissingError,
    MultistageError,
    StandstillError,
    SweepFailedError,
    TrackerError,
)
from multistage.search.base import Proposal, Searcher

SUSPICIOUS = 3
"""So many runs of a stage, all that have ended and all failed, and a resume trains them again."""


ASK_EVERY = 20.0
"""Seconds between two questions whether the sweep still takes runs."""


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
        resumable: Whether a lost run goes on in another, so that a slot may be lost often.
        report: Told of every change.
        warn: Told of what people should know: a stalled run, a retired worker.
        stall_after: Seconds without a new row after which a run is stopped; None adapts to the runs seen.
        is_overdue: Whether the stage's deadline has passed.
        go_on: The command that resumes the sweep; empty where there is none.
    """

    def __init__(
        self,
        *,
        settings: SweepSettings,
        stage: StagePlan,
        box: SearchSpace,
        earlier: Sequence[Evaluation],
        search: Searcher,
        tracker: Tracker,
        fleet: Fleet,
        ahead: int,
        resumable: bool = False,
        report: Callable[[Slots], None],
        warn: Callable[[str], None] = lambda _: None,
        stall_after: float | None = None,
        is_overdue: Callable[[], bool] = lambda: False,
        go_on: str = "",
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
        self._proposes = settings.proposer == "ours"
        self._verdict = StageVerdict(settings, stage, fleet.explain_failure, go_on, self._earlier)
        self._table = SlotTable(count_attempts(self._proposes, resumable))
        self._planned = search.plan() if stage.stage == 1 and self._proposes else []
        self._asked_at = time.monotonic()
        self.intake: Intake = "open"
        """At the last question."""
        self._seen_ended = False
        """Whether a sweep that W&B's engine fills had ended at the last look, with all its runs."""
        self._confirmed_at = -math.inf
        """When all runs were last read without a filter."""
        self._found_more = False
        """Whether that told something new."""
        self._failed = 0
        """Failed runs when workers were last looked at for a bad one."""
        self._retryable: Mapping[int, int] | None = None
        """Slots whose failure does not count, with the attempt that failed; None before the first look."""
        self._noted = False

    def drive(self) -> Slots:
        """Work until every slot of the stage is used.

        Returns:
            The slots by index; as many used ones as the stage has runs, or fewer where the cost cap or a
            deadline ended it.

        Raises:
            SweepFailedError: As `StageVerdict.check`, and if the sweep was ended from outside.
            LaunchError: If workers keep dying.
            TrackerError: If the server cannot be reached.
        """
        while True:
            try:
                slots = self._advance()
                if self._is_done(slots):
                    return slots
            except TrackerError as error:
                self._tracker.wait_out(error)
            except (AllRunsFailedError, LaunchError, MetricMissingError, SweepFailedError) as error:
                self._reconsider(error)
            time.sleep(self._tracker.interval)

    def _reconsider(self, error: MultistageError) -> None:
        """Raise the error by which the stage would be given up, unless the server tells more than it was asked for."""
        try:
            if self._tracker.read_all():
                self._verdict.check(self._settle())
                self._found_more = True
                return
            count = self._tracker.describe_count()
        except TrackerError as trouble:
            self._tracker.wait_out(trouble)
            return
        if isinstance(error, StandstillError):
            raise StandstillError(f"{error.message} The server counts {count}.", error.hint) from error
        raise error

    def _is_done(self, slots: Slots) -> bool:
        used = slots.used
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
            "A resume opens it again and continues.",
        )

    def _ask_intake(self) -> Intake:
        before, self.intake = self.intake, self._tracker.read_intake()
        if self.intake == "paused" and before != "paused":
            self._warn(
                f"The sweep of stage {self._stage.stage} is paused; it continues when it is resumed on its page."
            )
        return self.intake

    def _advance(self) -> Slots:
        """Look once, and do what is due."""
        changed = self._tracker.read()
        progressed = bool(changed) or self._found_more
        self._found_more = False
        slots = self._settle()
        self._verdict.check(slots)
        self._warn_of_notes(changed)
        self._watch(slots)
        if self._proposes and self._fill(slots):
            slots = self._settle()
        self._report(slots)
        self._maintain_workers(slots, progressed)
        return slots

    def _settle(self) -> Slots:
        return self._retry_failed(self._table.settle(self._tracker.records))

    def _maintain_workers(self, slots: Slots, progressed: bool) -> None:
        """See to the workers; while a sweep is paused it gives them nothing."""
        open_slots = [slot for slot in slots.unsettled.values() if slot.status == "open"]
        training = sum(slot.last.phase == "active" for slot in open_slots)
        waiting = len(open_slots) - training
        if not self._proposes:
            waiting += self._stage.runs - len(slots)
        try:
            self._fleet.adjust(0 if self.intake == "paused" else waiting, training, progressed, self._confirm)
        except LaunchError:
            if self._ask_intake() != "paused":  # where workers find nothing and leave
                raise

    def _confirm(self) -> bool:
        """Return whether the runs stand as they were last seen, by reading them all; asked again after a while only."""
        now = time.monotonic()
        if now - self._confirmed_at < ASK_EVERY:
            return True
        self._confirmed_at = now
        self._found_more = self._tracker.read_all()
        return not self._found_more

    def _retry_failed(self, slots: Slots) -> Slots:
        """Retry, once per resume, the slots of a stage in which every run so far has failed.

        What made them all fail was no config, and may be fixed by now.
        """
        if self._retryable is None:
            failed = {index: slot.last.name.attempt for index, slot in slots.items() if slot.outcome == "failed"}
            self._retryable = failed if self._proposes and has_failed_whole(slots, self._stage, SUSPICIOUS) else {}
        if not self._retryable:
            return slots
        return Slots(
            slot.model_copy(update={"status": "retry", "outcome": None})
            if self._retryable.get(index) == slot.last.name.attempt
            else slot
            for index, slot in slots.items()
        )

    def _warn_of_notes(self, changed: Sequence[RunRecord]) -> None:
        """Warn of the first run that counts although something is to be known of it."""
        noted = next((run for run in changed if run.note), None)
        if noted is not None and not self._noted:
            self._noted = True
            self._warn(f"Run {noted.run_id} ({noted.name}): {noted.note}")

    def _watch(self, slots: Slots) -> None:
        for run in self._stalls.find_stalled(self._tracker.records, slots.live, time.monotonic()):
            self._warn(f"Run {run.run_id} ({run.name}) has logged nothing new for too long and is stopped.")
            self._tracker.stop(run)
        failed = sum(slots.failures.values())
        if failed < FAILURES_IN_A_ROW or failed == self._failed:
            return
        bad = find_bad_worker(slots, self._tracker.read_workers())
        self._failed = failed
        if bad is not None and bad not in self._retired:
            self._retired.add(bad)
            self._warn(f"Worker {bad} is retired: its last three runs failed at once, and none elsewhere did.")
            self._fleet.retire(bad)

    def _fill(self, slots: Slots) -> bool:
        """Queue what is to be trained next; tells whether anything was queued."""
        count = len(self._tracker.records)
        self._tracker.complete()
        if len(self._tracker.records) > count:
            slots = self._settle()
        for index, slot in slots.unsettled.items():
            if slot.status == "retry":
                name = SlotName(stage=self._stage.stage, index=index, attempt=slot.last.name.attempt + 1)
                self._enqueue(name, slot.last.config)
        planned = range(len(self._planned)) if self._stage.stage == 1 else ()
        for index in planned:
            if index not in slots:
                self._enqueue(SlotName(stage=1, index=index), self._planned[index])
        waiting = sum(slot.status == "open" and slot.last.phase == "queued" for slot in slots.unsettled.values())
        known = {*slots, *planned}
        wanted = min(self._ahead - waiting, self._stage.runs - len(known))
        if wanted > 0:
            free = (index for index in range(self._stage.runs) if index not in known)
            for index, proposal in zip(free, self._propose(slots, len(known), wanted), strict=False):
                self._enqueue(SlotName(stage=self._stage.stage, index=index), proposal.config)
            if len(self._tracker.records) == count:
                self._verdict.check_supply(slots)
        return len(self._tracker.records) > count

    def _propose(self, slots: Slots, used: int, count: int) -> Sequence[Proposal]:
        stage = self._stage.stage
        if stage == 1:
            return []
        finalists_from = self._stage.runs - self._stage.finalists
        pending = [
            Proposal(config=slots[index].last.config, finalist=index >= finalists_from)
            for index in sorted(slots.unsettled)
        ]
        return self._search.propose(stage, self._box, [*self._earlier, *slots.list_evaluations()], pending, used, count)

    def _enqueue(self, name: SlotName, config: Config) -> None:
        takes_seed = self._settings.seed_parameter is not None
        seed = derive_seed(self._settings, name.stage, name.index) if takes_seed else None
        self._tracker.enqueue(name, config, seed)


def measure_progress(progress: StageProgress, slots: Slots, goal: str) -> StageProgress:
    """Count where a stage stands."""
    values = {slot: value for slot, value in slots.finished.items() if value is not None and math.isfinite(value)}
    best = (max if goal == "maximize" else min)(values, key=values.__getitem__, default=None)
    latest = [run.phase for run in slots.live.values() if slots[run.name.index].last is run]
    return progress.model_copy(
        update={
            "used": slots.used,
            "running": latest.count("active"),
            "queued": latest.count("queued"),
            "failed": len(slots.failed),
            "attempts_lost": sum(slots.lost.values()),
            "best_metric": None if best is None else values[best],
            "best_config": None if best is None else dict(slots[best].last.config),
        }
    )
