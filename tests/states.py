"""States of sweeps, for tests."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from multistage.domain.space.parameters import FloatParameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.budget import Split
from multistage.domain.sweep.plan import STAGES, RunOptions, StageNumber, SweepSettings, plan_sweep
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.sweep.state import StageRecord, State, TopConfig

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_settings(**changes: Any) -> SweepSettings:
    given: dict[str, Any] = {
        "config_id": "digits:mlp",
        "space": SearchSpace(parameters=(FloatParameter(name="lr", low=1e-4, high=1e-2, scale="log"),)),
        "metric": "val/accuracy",
        "budget": 30,
        "split": Split(),
        "entity": "local",
        "project": "digits",
    }
    return SweepSettings(**given | changes)


def make_stage(stage: StageNumber, top: int = 5) -> StageRecord:
    best = TopConfig(config={"lr": 1e-3}, value=0.9, run_id=f"best{stage}")
    return StageRecord(
        stage=stage,
        sweep_id=f"sweep{stage}",
        runs_completed=9,
        best_metric=best.value,
        best_config=best.config,
        best_run=best.run_id,
        top_configs=(best,) * top,
        method="sobol",
        bounds={"lr": [1e-4, 1e-2]},
        started_at=BEGAN,
        ended_at=BEGAN,
    )


def make_state(stages: int = 0, **changes: Any) -> State:
    settings = make_settings()
    done = tuple(make_stage(number) for number in STAGES[:stages])
    state = State(
        config_id=settings.config_id,
        entity=settings.entity,
        project=settings.project,
        params=settings.space.bounds,
        metric_name=settings.metric,
        total_budget=settings.budget,
        budget_used=9 * stages,
        stages_completed=done,
        name="made",
        uid="0badcafe",
        goal=settings.goal,
        best_metric=done[-1].best_metric if done else None,
        best_stage=done[-1].stage if done else None,
        best_config=done[-1].best_config if done else None,
        best_run=done[-1].best_run if done else None,
        plan=plan_sweep(settings).stages,
        request=SweepRequest(config_id=settings.config_id, params="lr:1e-4-1e-2", budget=settings.budget),
        settings=settings,
        options=RunOptions(workers=2, directory=Path("/somewhere")),
        created_at=BEGAN,
        updated_at=BEGAN,
    )
    return state.model_copy(update=changes)
