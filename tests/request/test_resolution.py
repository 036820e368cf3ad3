"""From flat text to a sweep's settings: every default filled in, every nonsense refused."""

from pathlib import Path
from typing import Any

import pytest

from multistage.domain.sweep.request import SweepRequest
from multistage.errors import SpaceError, UsageError
from multistage.request.resolution import resolve_request


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_ENTITY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


def ask(**changes: Any) -> SweepRequest:
    return SweepRequest(**{"config_id": "digits:mlp", "params": "learning_rate,alpha", "budget": 100} | changes)


def test_a_bundled_trainer_brings_its_metric_goal_seed_command_and_defaults(tmp_path: Path) -> None:
    settings = resolve_request(ask(), tmp_path).plan.settings
    assert (settings.metric, settings.goal, settings.seed_parameter) == ("val/accuracy", "maximize", "seed")
    assert settings.command[-4:] == ("--config_id", "digits:mlp", "--wandb_sweep", "${args}")
    assert settings.baseline == {"learning_rate": 1e-3, "alpha": 1e-4}
    assert (settings.entity, settings.project, settings.tracker) == ("local", "digits", "embedded")


def test_what_is_asked_for_wins_over_the_environment_and_that_over_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_ENTITY", "team")
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    settings = resolve_request(ask(), tmp_path).plan.settings
    assert (settings.entity, settings.project) == ("team", "theirs")
    settings = resolve_request(ask(entity="me", project="mine", metric="loss", goal="minimize"), tmp_path).plan.settings
    assert (settings.entity, settings.project, settings.metric, settings.goal) == ("me", "mine", "loss", "minimize")


def test_a_project_has_no_letter_that_wandb_refuses(tmp_path: Path) -> None:
    request = ask(config_id="a/b?c%d#e:f", params="x:0-1", command="python train.py", metric="score")
    assert resolve_request(request, tmp_path).plan.settings.project == "a-b-c-d-e"


def test_a_seed_that_is_fixed_is_not_drawn(tmp_path: Path) -> None:
    settings = resolve_request(ask(train_arg=("seed=3",)), tmp_path).plan.settings
    assert settings.seed_parameter is None
    assert settings.fixed == {"seed": 3}


def test_fixed_settings_are_read_as_what_they_are(tmp_path: Path) -> None:
    given = ("a=1", "b=1.5", "c=true", "d=false", "e=text=more", "f=1e-4")
    request = ask(config_id="my:own", params="x:0-1", command="python train.py", metric="score", train_arg=given)
    fixed = resolve_request(request, tmp_path).plan.settings.fixed
    assert fixed == {"a": 1, "b": 1.5, "c": True, "d": False, "e": "text=more", "f": 1e-4}
    assert [type(value) for value in fixed.values()] == [int, float, bool, bool, str, float]


def test_a_program_is_found_from_where_the_user_is_and_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    request = ask(config_id="my:own", params="x:0-1", program="train.py", metric="score")
    settings = resolve_request(request, tmp_path).plan.settings
    assert settings.program == str(tmp_path / "train.py")
    assert (settings.command, settings.seed_parameter, settings.baseline) == ((), None, {})
    assert (settings.metric, settings.goal) == ("score", "maximize")


def test_a_bundled_config_id_is_only_a_label_beside_a_program(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    with pytest.raises(SpaceError, match="learning_rate has no range"):
        resolve_request(ask(program="train.py"), tmp_path)


def test_a_command_is_split_and_its_config_id_filled_in(tmp_path: Path) -> None:
    line = "${env} python 'my train.py' --id=${config_id} ${args}"
    request = ask(config_id="my:own", params="x:0-1", command=line, metric="score")
    command = resolve_request(request, tmp_path).plan.settings.command
    assert command == ("${env}", "python", "my train.py", "--id=my:own", "${args}")


def test_the_guides_ranges_are_all_taken_by_the_trainer_of_the_guide(tmp_path: Path) -> None:
    names = "gae_lambda,vf_coef,ent_coef,policy_lr,clip_range,n_steps,batch_size,gamma"
    settings = resolve_request(ask(config_id="CartPole-v1:ppo", params=names), tmp_path).plan.settings
    assert ",".join(settings.space.names) == names


def test_a_combination_of_fixed_settings_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="total_steps 100"):
        resolve_request(ask(config_id="CartPole-v1:ppo", params="gamma", train_arg=("total_steps=100",)), tmp_path)
