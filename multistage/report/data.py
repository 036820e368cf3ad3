"""What a report is made of."""

import math
from datetime import datetime
from functools import cached_property
from pathlib import Path

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.runs.selection import rank
from multistage.domain.runs.slots import RunRecord, count_attempts, settle_slots
from multistage.domain.sweep.state import State
from multistage.search.gaussian_process import GaussianProcessSearch


def value_of(evaluation: Evaluation) -> float:
    """Return the value of an evaluation that has one."""
    assert evaluation.value is not None  # noqa: S101 - those without a value are sorted out before
    return evaluation.value


class Curve(Model):
    """How the metric of one run developed.

    Args:
        run_id: The run.
        steps: W&B's steps at which it was logged.
        values: The metric at these; never NaN or infinite.
    """

    run_id: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


class ReportData(Model):
    """Everything that a report shows.

    Args:
        state: The sweep.
        runs: All attempts of all stages.
        curves: Learning curves of the runs that lead.
        folder: The sweep's folder; None where nothing lies on this machine.
        written_at: The day and time on the page.
    """

    state: State
    runs: tuple[RunRecord, ...]
    curves: tuple[Curve, ...] = ()
    folder: Path | None = None
    written_at: datetime

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """What the used slots have shown, by stage and index."""
        attempts = count_attempts(self.state.settings.proposer == "ours", self.state.options.resumable)
        stages = ([run for run in self.runs if run.name.stage == stage] for stage in (1, 2, 3))
        return [found for runs in stages for found in settle_slots(runs, attempts).list_evaluations()]

    @cached_property
    def valued(self) -> list[Evaluation]:
        """The evaluations with a finite value, contenders and those stopped early."""
        return [
            evaluation
            for evaluation in self.evaluations
            if evaluation.value is not None and math.isfinite(evaluation.value)
        ]

    @cached_property
    def placed(self) -> list[Evaluation]:
        """Those of the valued whose config lies in the first ranges; the trainer's defaults may not."""
        space = self.state.settings.space
        return [one for one in self.valued if space.contains(one.config)]

    @cached_property
    def leaders(self) -> list[Evaluation]:
        """Those that may lead, the best first."""
        return rank(self.evaluations, self.state.goal)

    @cached_property
    def center(self) -> Config | None:
        """The config around which the model is shown: the recommended one, else the best so far."""
        recommended = self.state.recommended.config if self.state.recommended else None
        space = self.state.settings.space
        candidates = [recommended, *(leader.config for leader in self.leaders)]
        return next((config for config in candidates if config and space.contains(config)), None)

    @cached_property
    def defaults(self) -> Config | None:
        """The trainer's defaults of what is swept; None where the trainer has none."""
        settings = self.state.settings
        found = {name: settings.baseline[name] for name in settings.space.names if name in settings.baseline}
        return found if len(found) == len(settings.space.names) else None

    @cached_property
    def model(self) -> GaussianProcessSearch:
        """What the evaluations make one believe; fitted once for all figures."""
        return GaussianProcessSearch(self.state.settings.space, self.state.goal, seed=0)
