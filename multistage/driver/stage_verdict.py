"""Whether a stage can still come to something, by the slots that are settled so far."""

import math
import shlex
from collections.abc import Callable, Sequence

from multistage.domain.runs.metric import suggest_metric
from multistage.domain.runs.results import Evaluation
from multistage.domain.runs.slots import SETUP, RunRecord, Slots
from multistage.domain.sweep.plan import StagePlan, SweepSettings
from multistage.errors import AllRunsFailedError, MetricMissingError, SetupError, SweepFailedError

HOPELESS = 20
"""So many runs of a stage, all failed by their config's fault, and the stage is given up before its budget is gone; so
many of a sweep without a finite value, likewise."""


def has_failed_whole(slots: Slots, stage: StagePlan, enough: int) -> bool:
    """Return whether all used slots of a stage have failed, and are as many as ``enough``, or as the stage has."""
    return slots.used >= min(stage.runs, enough) and len(slots.failed) == slots.used


class StageVerdict:
    """Judges a stage at each look.

    Args:
        settings: The sweep's settings.
        stage: The stage.
        explain_failure: Says why a run failed that has not said so itself.
        go_on: The command that resumes the sweep; empty where there is none.
        earlier: Used slots of the stages before.
    """

    def __init__(
        self,
        settings: SweepSettings,
        stage: StagePlan,
        explain_failure: Callable[[RunRecord], str],
        go_on: str,
        earlier: Sequence[Evaluation] = (),
    ) -> None:
        self._settings = settings
        self._stage = stage
        self._ended_earlier = sum(one.outcome != "failed" for one in earlier)
        """Runs of earlier stages that did not fail."""
        self._known_finite = any(one.value is not None and math.isfinite(one.value) for one in earlier)
        self._explain_failure = explain_failure
        self._go_on = go_on
        self._proposes = settings.proposer == "ours"
        self._known_faults: frozenset[str] | None = None
        """Runs that failed by the setup before this process looked: it may be fixed by now."""

    def _check_setup(self, slots: Slots) -> None:
        suspects = [*slots.unsettled.values(), *(slots[index] for index in slots.failed)]
        faulty = [run for slot in suspects for run in slot.attempts if run.fault == SETUP]
        if self._known_faults is None:
            self._known_faults = frozenset(run.run_id for run in faulty)
        fresh = [run for run in faulty if run.run_id not in self._known_faults]
        if fresh:
            first = min(fresh, key=lambda run: run.name.index)
            cost = "It used nothing of the budget, and a resume trains its config again" if self._proposes else "Go on"
            raise SetupError(
                f"Run {first.run_id} of stage {self._stage.stage}: {first.error}",
                f"{cost}: {self._go_on}" if self._go_on else f"{cost}.",
            )

    def check(self, slots: Slots) -> None:
        """Fail the stage where continuing would spend the budget for nothing.

        Raises:
            SetupError: A run that began since the first look failed by what all runs share.
            MetricMissingError: Runs finish without logging the metric, or none with a finite value of it.
            AllRunsFailedError: Every run fails by its config's fault.
        """
        self._check_setup(slots)
        if slots.finished and not slots.valued and len(slots.finished) >= min(2, self._stage.runs):
            raise self._describe_missing(slots)
        if not self._has_finite(slots) and slots.valued and self._ended_earlier + len(slots.valued) >= HOPELESS:
            raise self._describe_infinite()
        if has_failed_whole(slots, self._stage, HOPELESS):
            first = slots[min(slots.failed)].decisive
            reason = first.error or self._explain_failure(first)
            raise AllRunsFailedError(
                f"All {slots.used} runs of stage {self._stage.stage} failed. The first, {first.run_id}, said: "
                f"{reason or 'nothing; its log is in the folder logs/ of the sweep'}.",
                "Try one run by hand with the same hyperparameters; a resume trains them all again.",
            )

    def check_supply(self, slots: Slots) -> None:
        """Fail a stage that has runs left, while its search proposes none of them.

        Raises:
            MetricMissingError: Nothing is under way, and no run has a finite value that a race could go by.
            SweepFailedError: Nothing is under way.
        """
        if slots.unsettled:
            return
        if not self._has_finite(slots):
            raise self._describe_infinite()
        raise SweepFailedError(
            f"The search {self._settings.search} proposed nothing for the {self._stage.runs - slots.used} runs that "
            f"stage {self._stage.stage} has left.",
            "A searcher has to propose as many runs as are wanted, until the stage's budget is used.",
        )

    def _has_finite(self, slots: Slots) -> bool:
        return self._known_finite or bool(slots.finite)

    def _describe_missing(self, slots: Slots) -> MetricMissingError:
        metric = self._settings.metric
        logged = sorted({key for index in slots.finished for key in slots[index].decisive.logged})
        finished = f"{len(slots.finished)} runs of stage {self._stage.stage} finished, and"
        if metric in logged:
            return MetricMissingError(
                f"{finished} none logged the metric {metric!r} as a number.",
                "Log a number under that name: float(value) of a bool or a text, the mean of a list.",
            )
        return MetricMissingError(
            f"{finished} none logged the metric {metric!r}.",
            self._suggest_metric(logged) if logged else "They logged nothing at all: does the training call wandb.log?",
        )

    def _describe_infinite(self) -> MetricMissingError:
        return MetricMissingError(
            f"The metric {self._settings.metric!r} was NaN or infinite in every run so far: none is the better one.",
            f"Find out where that comes from, or resume with another metric: {self._go_on} --metric NAME"
            if self._go_on
            else "Find out where that comes from, or name another metric.",
        )

    def _suggest_metric(self, logged: Sequence[str]) -> str:
        metric, goal = suggest_metric(logged, self._settings.goal)
        flags = f"--metric {shlex.quote(metric)}" + (f" --goal {goal}" if goal != self._settings.goal else "")
        told = f"They logged: {', '.join(logged)}. "
        if not self._go_on:
            return f"{told}Name one of them: {flags}"
        return f"{told}Resume with one of them, and no run is trained again: {self._go_on} {flags}"
