"""How long a sweep takes, from the best evidence there is; what a bundled trainer's rows mean for hyperband."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from multistage.domain.sweep.plan import RunOptions, plan_sweep
from multistage.domain.sweep.request import SweepRequest
from multistage.request.forecast import find_pace, warn_of
from multistage.request.resolution import ResolvedRequest, resolve_request
from tests.states import BEGAN, make_settings, make_stage, make_state


def resolve(place: Path, **changes: Any) -> ResolvedRequest:
    asked = {"config_id": "CartPole-v1:ppo", "params": "policy_lr", "budget": 500} | changes
    return resolve_request(SweepRequest(**asked), place)


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 12.5),
        ({"train_arg": ("total_steps=4000",)}, 1.0),
        ({"config_id": "digits:mlp", "params": "epochs:int:20-80"}, 2.0),
        ({"config_id": "digits:mlp", "params": "epochs:[20|40]"}, None),
        ({"config_id": "my:own", "params": "x:0-1", "command": "python train.py", "metric": "loss"}, None),
    ],
)
def test_a_trainer_knows_its_own_pace(tmp_path: Path, changes: dict[str, Any], seconds: float | None) -> None:
    pace = find_pace(resolve(tmp_path, **changes).plan.settings, [])
    assert (pace.seconds if pace else None) == seconds


def test_an_earlier_sweep_of_the_same_training_knows_better() -> None:
    stage = make_stage(1).model_copy(update={"ended_at": BEGAN + timedelta(seconds=90)})
    same = make_state(1, stages_completed=(stage,))
    others = [make_state(0), same.model_copy(update={"settings": make_settings(fixed={"epochs": 3})})]
    pace = find_pace(make_settings(), [*others, same])
    assert pace is not None
    assert (pace.seconds, pace.source) == (90 * 2 / 9, "as in the sweep made")


@pytest.mark.parametrize(("rows", "warned"), [("100", True), ("101", False)])
def test_hyperband_is_warned_of_by_the_trainers_own_rows(tmp_path: Path, rows: str, warned: bool) -> None:
    plan = resolve(tmp_path, early_stop="hyperband", train_arg=(f"rows={rows}",)).plan
    found = warn_of(plan, RunOptions(workers=2, directory=tmp_path))
    assert any("Hyperband" in warning for warning in found) == warned


@pytest.mark.parametrize(("budget", "warned"), [(299, True), (300, False)])
def test_a_small_budget_is_warned_of(tmp_path: Path, budget: int, warned: bool) -> None:
    plan = resolve(tmp_path, budget=budget).plan
    assert warn_of(plan, RunOptions(workers=2, directory=tmp_path), notes=("As typed.",)) == (
        ("As typed.", "299 runs are few for three stages. Raise --budget to 300.") if warned else ("As typed.",)
    )
    single = plan.settings.model_copy(update={"definition": {"method": "bayes"}})
    alone = plan_sweep(single)
    assert warn_of(alone, RunOptions(workers=2, directory=tmp_path), notes=("As typed.",)) == ("As typed.",)
