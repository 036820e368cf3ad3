"""What can be said of a sweep before it runs: how long, and what should be double-checked."""

from collections.abc import Iterable, Sequence

from multistage.domain.model import Model
from multistage.domain.space.parameters import CategoricalParameter
from multistage.domain.sweep.advice import advise
from multistage.domain.sweep.plan import RunOptions, SweepPlan, SweepSettings
from multistage.domain.sweep.state import State
from multistage.training.catalogue import find_bundled


class Pace(Model):
    """How long one run takes."""

    seconds: float
    source: str
    """How that is known, in words."""


def warn_of(
    plan: SweepPlan, options: RunOptions, rows: int | None = None, notes: Sequence[str] = ()
) -> tuple[str, ...]:
    """List what a sweep's user should double-check, what matters most first; see `multistage.domain.sweep.advice`.

    Args:
        plan: The sweep.
        options: How it would be run.
        rows: Rows that a run logs, where one has shown it.
        notes: What is to be said of the request itself.
    """
    if plan.settings.definition is not None:
        return tuple(dict.fromkeys(notes))
    bundled = find_bundled(plan.settings)
    known = _read_longest(plan.settings, bundled.settings.rows_setting) if bundled else None
    shown = rows if rows is not None else int(known) if known is not None else None
    return advise(plan, options.workers, shown, notes)


def find_pace(settings: SweepSettings, earlier: Iterable[State]) -> Pace | None:
    """Find how long a run takes: as in the latest sweep of the same training, else by the trainer's own pace.

    Args:
        settings: The sweep.
        earlier: Sweeps on this machine.

    Returns:
        None where nothing is known.
    """
    same = [
        state
        for state in earlier
        if (state.config_id, state.settings.fixed, state.settings.program, state.settings.command)
        == (settings.config_id, settings.fixed, settings.program, settings.command)
        and state.stages_completed
    ]
    if same:
        state = max(same, key=lambda one: one.updated_at)
        busy = sum(
            (stage.ended_at - stage.started_at).total_seconds() * min(state.options.workers, stage.runs_completed)
            for stage in state.stages_completed
        )
        runs = sum(stage.runs_completed + stage.attempts_lost for stage in state.stages_completed)
        return Pace(seconds=busy / max(1, runs), source=f"as in the sweep {state.name}")
    bundled = find_bundled(settings)
    length = _read_longest(settings, bundled.settings.length_setting) if bundled else None
    if bundled is None or length is None:
        return None
    return Pace(seconds=length / bundled.settings.pace, source="by the trainer's own pace, on one core for each worker")


def _read_longest(settings: SweepSettings, name: str) -> float | None:
    """Read a setting of a bundled trainer as every run will have it; where it is swept, its largest value."""
    bundled = find_bundled(settings)
    if bundled is None:
        return None
    if name in settings.space:
        parameter = settings.space[name]
        return None if isinstance(parameter, CategoricalParameter) else float(parameter.high)
    value = (dict(bundled.defaults) | settings.fixed)[name]
    return float(value) if isinstance(value, int | float) else None
