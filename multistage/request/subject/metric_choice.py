"""What a sweep optimizes; where nobody said it, what to ask."""

import shlex
from pathlib import Path

from multistage.domain.model import Model
from multistage.domain.runs.metric import suggest_metric
from multistage.domain.runs.results import Goal
from multistage.domain.space.defaults import GUIDE_METRIC
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.sweep.state import State
from multistage.domain.sweep.sweep_file import SweepFile
from multistage.domain.workers.styles import follows_guide
from multistage.errors import MetricUnnamedError
from multistage.store.sweep_folder import survey_sweeps
from multistage.training.catalogue import Trainer
from multistage.wandb_client.run_archive import read_logged

Training = tuple[str | None, tuple[str, ...]]
"""A program, and the command that starts it."""


class SeenKeys(Model):
    """What a script was seen to log."""

    keys: tuple[str, ...]
    state: State
    """The latest sweep in which it was seen."""


def choose_metric(
    request: SweepRequest, trainer: Trainer | None, file: SweepFile | None, training: Training, runs_dir: Path | None
) -> tuple[str, Goal]:
    """Choose the metric and its goal: what was asked for, else the sweep file's, the trainer's or the guide's own.

    Args:
        request: What was asked for.
        trainer: The bundled trainer that trains; None for a program of the user's own.
        file: What a sweep file says.
        training: What is trained.
        runs_dir: Where earlier sweeps lie.

    Raises:
        MetricUnnamedError: Nobody has said it.
    """
    written = file.metric if file else None
    goal = file.goal if file and written else trainer.goal if trainer else "maximize"
    usual = trainer.metric if trainer else GUIDE_METRIC if follows_guide(training[1]) else None
    metric = request.metric or written or usual
    if metric is None:
        raise _ask_metric(request.goal, training, find_logged(training, runs_dir) if runs_dir else None)
    return metric, request.goal or goal


def find_logged(training: Training, runs_dir: Path) -> SeenKeys | None:
    """Find what a script has logged in its latest sweep that tells; None where none does."""
    program, command = training
    same = [
        (folder, state)
        for folder, state in survey_sweeps(runs_dir)
        if isinstance(state, State)
        and state.settings.program == program
        and (program is not None or state.settings.command == command)
    ]
    for folder, state in sorted(same, key=lambda one: one[1].updated_at, reverse=True):
        keys = set[str]().union(*map(read_logged, folder.list_archives()))
        if keys:
            return SeenKeys(keys=tuple(sorted(keys)), state=state)
    return None


def _ask_metric(goal: Goal | None, training: Training, seen: SeenKeys | None) -> MetricUnnamedError:
    script = Path(training[0]).name if training[0] else "the script"
    if seen is None:
        return MetricUnnamedError(
            f"No --metric says which of the keys that {script} logs is optimized, and none is guessed.",
            "Name it" + (":" if goal else ", and add --goal minimize where less is better:"),
            "--metric KEY",
        )
    before = seen.state.settings
    known = before.metric in seen.keys
    metric, better = (before.metric, before.goal) if known else suggest_metric(seen.keys, "maximize")
    return MetricUnnamedError(
        f"No --metric says what is optimized; in the sweep {seen.state.name} {script} logged {', '.join(seen.keys)}.",
        "Name one of them:",
        f"--metric {shlex.quote(metric)}" + (" --goal minimize" if goal is None and better == "minimize" else ""),
    )
