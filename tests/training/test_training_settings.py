import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multistage.domain.space.defaults import GUIDE_PARAMETERS
from multistage.errors import MissingExtraError, UsageError
from multistage.training.catalogue import TRAINERS, Trainer, find_trainer
from multistage.training.rows import RowGrid
from multistage.training.trainer_settings import DigitsMlpSettings, PpoSettings, TrainerSettings, check_settings
from multistage.training.training_program import parse_arguments


@given(st.integers(1, 2000), st.integers(1, 300), st.lists(st.integers(1, 64), min_size=1, max_size=400))
def test_a_row_grid_passes_each_row_once_and_in_time(total: int, rows: int, strides: list[int]) -> None:
    rows = min(rows, total)
    grid = RowGrid(total, rows)
    passed: list[int] = []
    steps = 0
    for stride in [*strides, total]:
        steps += stride
        for row in grid.pass_rows(steps):
            assert steps - stride < grid.locate(row) <= min(steps, total)
            passed.append(row)
    assert passed == list(range(1, rows + 1))
    assert grid.locate(rows) == total


def test_the_row_grid_does_not_depend_on_the_stride() -> None:
    def list_steps(stride: int) -> list[int]:
        grid = RowGrid(50_000, 200)
        return [grid.locate(row) for steps in range(stride, 51_000, stride) for row in grid.pass_rows(steps)]

    assert list_steps(1) == list_steps(8) == list_steps(333) == list(range(250, 50_001, 250))


@pytest.mark.parametrize("trainer", TRAINERS.values(), ids=list(TRAINERS))
def test_the_catalogue_is_consistent(trainer: Trainer) -> None:
    assert find_trainer(trainer.config_id) is trainer
    assert set(trainer.parameters) < set(trainer.defaults)
    for name, parameter in trainer.parameters.items():
        assert parameter.name == name
        assert parameter.contains(trainer.defaults[name])
    check_settings(trainer.settings, trainer.defaults)
    trainer.check_extra()


@pytest.mark.parametrize("config_id", ["CartPole-v1:ppo", "ALE-Pong-v5:objects_ppo"])
def test_both_environments_of_the_guide_know_its_ranges(config_id: str) -> None:
    assert GUIDE_PARAMETERS.items() <= TRAINERS[config_id].parameters.items()
    assert TRAINERS[config_id].metric == "train/roll/ep_rew/mean"


def test_unknown_config_ids_have_no_trainer() -> None:
    assert find_trainer("my-project:sac") is None


def test_a_missing_extra_is_named() -> None:
    trainer = TRAINERS["digits:mlp"].model_copy(update={"packages": ("numpy", "no_such_package")})
    with pytest.raises(MissingExtraError, match=r"no_such_package.*multistage-sweep\[digits\]"):
        trainer.load()


def test_the_catalogue_imports_nothing_heavy() -> None:
    code = (
        "import sys, multistage.training.catalogue;"
        "print(sorted({'torch', 'sklearn', 'wandb', 'gymnasium', 'stable_baselines3', 'prefect'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_values_of_a_sweep_are_understood() -> None:
    settings = check_settings(DigitsMlpSettings, {"batch_size": 64.0, "learning_rate": "1e-2", "seed": "3"})
    assert (settings.batch_size, settings.learning_rate, settings.seed) == (64, 0.01, 3)
    assert isinstance(settings.batch_size, int)


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        (DigitsMlpSettings, {"learning_rate": 0}, "learning_rate = 0: should be greater than 0."),
        (DigitsMlpSettings, {"learning_rate": float("nan")}, "learning_rate = nan: should be a finite number."),
        (DigitsMlpSettings, {"batch_size": 16.5}, "batch_size = 16.5: should be a valid integer"),
        (DigitsMlpSettings, {"learnig_rate": 0.1}, "Unknown setting 'learnig_rate': did you mean learning_rate?"),
        (DigitsMlpSettings, {"zzz": 1}, "Unknown setting 'zzz': known are seed, learning_rate, alpha"),
        (PpoSettings, {"policy_lr": 0.0}, "policy_lr = 0.0: should be greater than 0."),
        (
            PpoSettings,
            {"batch_size": 4096, "n_steps": 64},
            "batch_size 4096 is above the rollout of 512 steps (n_steps 64 x n_envs 8).",
        ),
        (PpoSettings, {"n_steps": 1024, "total_steps": 5000}, "above total_steps 5000, so nothing would be learned."),
        (PpoSettings, {"n_steps": 37, "n_envs": 1, "batch_size": 10}, "every divisor of the rollout of 37 steps"),
        (PpoSettings, {"total_steps": 1024, "rows": 2000}, "2000 rows do not fit into total_steps 1024."),
        (PpoSettings, {"rows": 1, "evaluations": 2}, "2 evaluations do not fit into 1 rows."),
    ],
)
def test_impossible_values_are_refused_in_one_line(
    kind: type[TrainerSettings], values: Mapping[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_settings(kind, values)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.integers(2, 600), st.integers(1, 16), st.integers(2, 5000))
def test_the_used_batch_size_divides_the_rollout(n_steps: int, n_envs: int, batch_size: int) -> None:
    try:
        settings = check_settings(PpoSettings, {"n_steps": n_steps, "n_envs": n_envs, "batch_size": batch_size})
    except UsageError:
        divisors = [size for size in range(2, batch_size + 1) if n_steps * n_envs % size == 0]
        assert batch_size > n_steps * n_envs or not divisors
    else:
        assert settings.rollout % settings.used_batch_size == 0
        assert 2 <= settings.used_batch_size <= batch_size


def test_command_lines_of_agents_are_understood() -> None:
    request = parse_arguments(
        ["--config_id", "digits:mlp", "--wandb_sweep", "--alpha=1e-05", "--name=a=b", "--flag", "--size", "3"]
    )
    assert request.config_id == "digits:mlp"
    assert request.values == {"alpha": 1e-05, "name": "a=b", "flag": True, "size": 3}


@pytest.mark.parametrize("arguments", [[], ["--alpha=1"], ["digits:mlp"], ["--config_id=digits:mlp", "x"], ["--"]])
def test_other_command_lines_are_refused(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_arguments(arguments)
