"""Summaries of sweeps under way, for tests of their page and for its benchmark."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from multistage.domain.live.digest import summarize
from multistage.domain.live.sight import Sight
from multistage.domain.live.summary import LiveSummary, Standing
from multistage.domain.model import Model
from multistage.domain.runs.slots import RunRecord
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.domain.sweep.state import StageProgress
from tests.report.sweeps import make_whole

PARAMETERS: tuple[Parameter, ...] = (
    FloatParameter(name="policy_lr", low=1e-5, high=1e-2, scale="log"),
    FloatParameter(name="clip_range", low=0.05, high=0.5),
    PowerOfTwoParameter(name="batch_size", low=16, high=512),
    CategoricalParameter(name="activation", choices=("relu", "tanh", "elu", "gelu")),
    IntParameter(name="layers", low=1, high=5),
    FloatParameter(name="gae_lambda", low=0.8, high=1.0),
)


def make_live(
    budget: int = 150,
    share: float = 0.4,
    workers: int = 6,
    parameters: Sequence[Parameter] = PARAMETERS,
    baseline: bool = True,
    at: datetime | None = None,
    **changes: Any,
) -> LiveSummary:
    """A sweep in the middle of its third stage, of which a share is done.

    Args:
        budget: Its runs in all.
        share: How much of stage 3 is done.
        workers: Runs in training; half as many wait.
        parameters: What is swept.
        baseline: Whether usual values are known, and were trained first.
        at: When it is told; now by default.
        changes: To its state.
    """
    whole = make_whole(parameters, budget, rows=30)
    usual = {one.name: one.from_unit(0.3) for one in parameters} if baseline else {}
    runs = [run for run in whole.runs if run.name.stage < 3]
    third = [run for run in whole.runs if run.name.stage == 3]
    done = round(share * len(third))
    now = max(run.heartbeat_at for run in third[:done] or runs if run.heartbeat_at)
    active = [_train(run, 0.3 + 0.6 * place / workers) for place, run in enumerate(third[done : done + workers])]
    active = [run.model_copy(update={"began_at": now - timedelta(seconds=9 * i)}) for i, run in enumerate(active, 2)]
    queued = [_queue(run) for run in third[done + workers : done + workers + workers // 2]]
    if usual:
        runs[0] = runs[0].model_copy(update={"config": usual, "phase": "finished", "value": 84.0, "error": ""})
    progress = StageProgress(
        stage=3, runs=len(third), used=done, running=len(active), queued=len(queued),
        failed=sum(run.phase == "failed" for run in third[:done]), best_metric=98.5,
        started_at=third[0].began_at or now,
    )  # fmt: skip
    state = whole.state
    state = state.model_copy(
        update={
            "stages_completed": state.stages_completed[:2], "current_stage": progress, "status": "running",
            "settings": state.settings.model_copy(update={"baseline": usual}), "name": "multistage_sweep_night",
            "options": state.options.model_copy(update={"workers": workers}), "ended_because": None,
            "budget_used": sum(one.runs for one in state.plan[:2]) + done, "config_id": "CartPole-v1:ppo",
            **changes,
        }
    )  # fmt: skip
    lead = max(
        (run for run in runs if run.phase == "finished" and run.value is not None), key=lambda run: run.value or 0
    )
    value = lead.value or 0.0
    sight = Sight(
        runs=(*runs, *third[:done], *active, *queued),
        curves={run.run_id: _grow(run.value or 0.0, run.rows) for run in active},
        present=workers,
        standing=Standing(
            config=lead.config, mean=value - 1.2, interval=(value - 3.5, value + 0.4), seeds=2, probability=0.97,
            verdict="improvement", told="That it beats the defaults is 97% likely.",
        ),
        since=state.created_at,
        resume="multistage-sweep --resume /sweeps/night/state.json",
        links={"Prefect": "http://127.0.0.1:4200/flow-runs/flow-run/1"},
        stage_links={one.stage: f"/local/p/sweeps/{one.sweep_id}" for one in whole.state.stages_completed},
        run_base="/local/p",
    )  # fmt: skip
    return _shift(summarize(state, sight, now), (at or datetime.now(UTC)) - now)


def _shift(summary: LiveSummary, by: timedelta) -> LiveSummary:
    """As if it had happened at another time."""
    seconds = by.total_seconds()

    def move(told: Model, *names: str) -> Model:
        times = {name: getattr(told, name) for name in names}
        return told.model_copy(update={name: at + seconds for name, at in times.items() if at is not None})

    moved = move(summary, "began", "told_at")
    runs = tuple(move(run, "made", "began", "heard") for run in summary.runs)
    stages = tuple(move(stage, "began", "ended") for stage in summary.stages)
    return LiveSummary.model_validate(moved.model_copy(update={"runs": runs, "stages": stages}))


def _train(run: RunRecord, share: float) -> RunRecord:
    rows = max(2, round(30 * share))
    value = (run.value or 90.0) * (1 - math.exp(-3 * share))
    return run.model_copy(update={"phase": "active", "value": value, "rows": rows, "error": ""})


def _queue(run: RunRecord) -> RunRecord:
    gone = {"phase": "queued", "value": None, "began_at": None, "heartbeat_at": None, "error": "", "worker": None}
    return run.model_copy(update=gone)


def _grow(value: float, rows: int) -> tuple[tuple[float, float], ...]:
    wave = (math.sin(1.7 * row) * value * 0.03 for row in range(rows))
    return tuple((row + 1.0, value * (1 - 0.75 ** (row + 1)) + one) for row, one in enumerate(wave))
