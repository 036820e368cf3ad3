"""`--seed-param` and `--baseline`: what makes a program's usual values race, each run on a seed of its own."""

from pathlib import Path
from typing import Any

import pytest

from multistage.domain.sweep.plan import SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.errors import UsageError
from multistage.request.resolution import ResolvedRequest, resolve_request

SWEPT = "lr:log:1e-5-1e-2,layers:int:1-4,batch:int:8-64,act:[relu|tanh],amp:[true|false]"
USUAL = ("lr=3e-4", "layers=2", "batch=16", "act=relu", "amp=true")
BUNDLED = {"config_id": "digits:mlp", "params": "learning_rate,alpha", "command": None}


def resolve(place: Path, **changes: Any) -> ResolvedRequest:
    own = {"config_id": "my:own", "params": SWEPT, "command": "python train.py ${args}", "metric": "score"}
    return resolve_request(SweepRequest.model_validate(own | {"budget": 300} | changes), place)


def read(place: Path, **changes: Any) -> SweepSettings:
    return resolve(place, **changes).plan.settings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed_param": "layers"}, "layers, which is swept or fixed"),
        ({"seed_param": "seed", "train_arg": ("seed=3",)}, "seed, which is swept or fixed"),
        ({"seed_param": "seed", "command": "python train.py --seed 3 ${args}"}, "the command sets it: --seed"),
        ({"seed_param": "random_seed", "command": "python a.py ${args} --random-seed=3"}, "sets it: --random-seed=3"),
        ({"seed_param": "seed", "command": "python a.py seed=3 ${args_no_hyphens}"}, "the command sets it: seed=3"),
        ({"seed_param": ""}, "'' is not a name"),
        ({"seed_param": "--seed"}, "'--seed' is not a name"),
        ({"seed_param": "seed=3"}, "'seed=3' is not a name"),
        (BUNDLED | {"seed_param": "random_state"}, "takes its seed as `seed`"),
        (BUNDLED | {"seed_param": "seed", "train_arg": ("seed=3",)}, "seed, which is swept or fixed"),
    ],
)
def test_a_seed_that_has_a_value_already_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words.replace("(", r"\(")) as caught:
        resolve(tmp_path, **changes)
    assert caught.value.hint


def test_a_seed_is_what_the_program_calls_it(tmp_path: Path) -> None:
    assert read(tmp_path, seed_param="seed", command="python -m seed ${args}").seed_parameter == "seed"
    assert read(tmp_path, seed_param="seed", command="python train.py --seeds 3 ${args}").seed_parameter == "seed"
    assert read(tmp_path, **BUNDLED, seed_param="seed").seed_parameter == "seed"
    assert read(tmp_path).seed_parameter is None
    resolved = resolve(tmp_path, seed_param="seed", search="wandb")
    assert resolved.plan.settings.seed_parameter is None
    assert any("seed stays the program's own" in warning for warning in resolved.warnings)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (USUAL[1:], "does not name lr, which is swept"),
        (("learning_rate=3e-4", *USUAL[1:]), "does not name lr"),
        ((*USUAL, "lr=fast"), "lr the value 'fast', which is not a number"),
        ((*USUAL, "lr=true"), "lr the value True, which is not a number"),
        ((*USUAL, "lr=nan"), "lr the value 'nan', which is not a number"),
        ((*USUAL, "lr=-inf"), "lr the value '-inf', which is not a number"),
        ((*USUAL, "layers=2.5"), "layers the value 2.5, which is not a whole number"),
        ((*USUAL, "act=elu"), "act the value 'elu', which is not one of its choices: relu, tanh"),
        ((*USUAL, "lr"), "'lr' is not key=value"),
    ],
)
def test_usual_values_that_cannot_be_are_refused(given: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        resolve(tmp_path, baseline=given)
    assert caught.value.hint


def test_usual_values_are_of_the_parameters_own_kinds_and_may_lie_outside(tmp_path: Path) -> None:
    baseline = read(tmp_path, baseline=(*USUAL, "lr=0.0", "layers=09", "amp=True")).baseline
    assert baseline == {"lr": 0.0, "layers": 9, "batch": 16, "act": "relu", "amp": True}
    assert [type(value) for value in baseline.values()] == [float, int, int, str, bool]


def test_a_bundled_trainer_fills_in_what_was_not_said(tmp_path: Path) -> None:
    assert read(tmp_path, **BUNDLED, baseline=("alpha=0.5",)).baseline == {"learning_rate": 1e-3, "alpha": 0.5}
    with pytest.raises(UsageError, match="no hyperparameter 'alhpa'"):
        read(tmp_path, **BUNDLED, baseline=("alhpa=0.5",))


def test_usual_values_that_change_nothing_are_told_of(tmp_path: Path) -> None:
    assert not [one for one in resolve(tmp_path, baseline=USUAL).warnings if "--baseline" in one]
    [told] = resolve(tmp_path, baseline=(*USUAL, "epochs=5")).warnings
    assert "epochs, which is not swept: use --train-arg epochs=5" in told
    for changes in ({"finalists": "0"}, {"budget": 40}, {"stage1": "grid", "grid_resolution": 2}):
        assert resolve(tmp_path, baseline=USUAL, **changes).warnings == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"search": "wandb"}, "W&B's engine"), ({"stage1": "grid", "finalists": "0"}, "the grid alone")],
)
def test_usual_values_that_no_run_trains_are_told_of(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    (told,) = resolve(tmp_path, **BUNDLED, **changes).warnings
    assert told.startswith("The usual values are trained in no run, since ")
    assert why in told
    assert resolve(tmp_path, **changes, params="lr:log:1e-5-1e-2").warnings == ()
