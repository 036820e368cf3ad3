"""What a sweep file makes of a request: its words win over defaults, flags over its words, and contradictions end."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from multistage.domain.sweep.account import EMBEDDED
from multistage.domain.sweep.plan import SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.errors import MultistageError, UsageError
from multistage.request.resolution import ResolvedRequest, resolve_request
from multistage.training.catalogue import TRAINERS

BUNDLED = {
    "method": "random",
    "metric": {"name": "train/loss", "goal": "minimize"},
    "command": list(TRAINERS["digits:mlp"].command),
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 0.001, "max": 0.1},
        "hidden_size": {"values": [8, 16]},
        "epochs": {"value": 7},
    },
}
OWN = {
    "method": "bayes",
    "metric": {"name": "score", "goal": "maximize"},
    "project": "theirs",
    "entity": "team",
    "early_terminate": {"type": "hyperband", "max_iter": 27, "s": 2},
    "program": "train.py",
    "parameters": {
        "optimizer": {"parameters": {"lr": {"min": 0.1, "max": 1.0}, "momentum": {"value": 0.9}}},
        "layers": {"values": [[64, 64], [32]]},
        "tags": {"value": ["a"]},
        "x": {"distribution": "normal", "mu": 0.0, "sigma": 1.0},
    },
}


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    for name in ("WANDB_ENTITY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


def resolve(content: dict[str, Any], directory: Path, **changes: Any) -> ResolvedRequest:
    asked = {"config_id": "my:own", "sweep_file": content, "budget": 100} | changes
    return resolve_request(SweepRequest.model_validate(asked), directory)


def read(content: dict[str, Any], directory: Path, **changes: Any) -> SweepSettings:
    return resolve(content, directory, **changes).plan.settings


def test_a_file_of_a_bundled_trainer_is_its_sweep(tmp_path: Path) -> None:
    settings = read(BUNDLED, tmp_path, config_id="digits:mlp")
    assert (settings.metric, settings.goal, settings.seed_parameter) == ("train/loss", "minimize", "seed")
    assert settings.space.bounds == {"learning_rate": [0.001, 0.1], "hidden_size": [8, 16]}
    assert (settings.fixed, settings.program) == ({"epochs": 7}, None)
    assert settings.baseline == {}, "its default of 64 is no choice of hidden_size, so it cannot race"
    assert settings.early_terminate is None


def test_a_file_without_a_command_is_trained_by_the_trainer_that_is_named(tmp_path: Path) -> None:
    content = {key: value for key, value in BUNDLED.items() if key not in ("command", "metric")}
    settings = read(content, tmp_path, config_id="digits:mlp")
    assert settings.command == tuple(TRAINERS["digits:mlp"].command)
    assert (settings.metric, settings.goal) == ("val/accuracy", "maximize")
    with pytest.raises(UsageError, match="names no program"):
        read(content, tmp_path)


def test_a_file_of_an_own_program_brings_all_that_it_says(tmp_path: Path) -> None:
    resolved = resolve(OWN, tmp_path)
    settings = resolved.plan.settings
    assert (settings.metric, settings.goal, settings.project, settings.entity) == (
        "score", "maximize", "theirs", "team",
    )  # fmt: skip
    assert settings.program == str(tmp_path / "train.py")
    assert settings.space.names == ("optimizer.lr", "layers", "x")
    assert settings.fixed == {"optimizer.momentum": 0.9, "tags": '["a"]'}
    assert (settings.early_stop, settings.early_terminate) == ("hyperband", OWN["early_terminate"])
    assert any("central 95%" in warning for warning in resolved.warnings)


def test_flags_win_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.py").touch()
    settings = read(
        OWN, tmp_path, metric="loss", goal="minimize", program="other.py", project="mine", early_stop="none",
        train_arg=("optimizer.momentum=0.5", "tags=b", "extra=1"),
    )  # fmt: skip
    assert (settings.metric, settings.goal, settings.project) == ("loss", "minimize", "mine")
    assert settings.program == str(tmp_path / "other.py")
    assert settings.fixed == {"optimizer.momentum": 0.5, "tags": '"b"', "extra": 1}
    assert settings.early_terminate is None
    monkeypatch.setenv("WANDB_PROJECT", "environment")
    assert read(OWN, tmp_path).project == "environment"
    assert read(OWN, tmp_path, command="python -m mine ${args}").program is None


@pytest.mark.parametrize(
    ("content", "changes", "words"),
    [
        (OWN, {"params": "x:0-1"}, "both name the swept hyperparameters"),
        (OWN, {"train_arg": ("x=1",)}, "x is both swept and fixed"),
        (OWN | {"program": "nope.py"}, {}, "'nope.py' does not exist"),
        (OWN | {"run_cap": 50}, {}, "above the sweep file's run_cap of 50"),
        (BUNDLED, {"config_id": "CartPole-v1:ppo"}, "trains digits:mlp, and CartPole-v1:ppo was asked for"),
        (
            BUNDLED | {"parameters": {"hidden_size": {"values": [8, 9000]}}},
            {"config_id": "digits:mlp"},
            "refuses hidden_size = 9000",
        ),
        (BUNDLED | {"parameters": {"lr": {"min": 1, "max": 2}}}, {"config_id": "digits:mlp"}, "no hyperparameter 'lr'"),
    ],
)
def test_contradictions_are_refused(
    content: dict[str, Any], changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        read(content, tmp_path, **changes)


def test_neither_params_nor_a_file_is_nothing_to_search(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No --params"):
        resolve_request(SweepRequest(config_id="digits:mlp"), tmp_path)


def test_what_came_from_the_file_is_part_of_what_the_sweep_is(tmp_path: Path) -> None:
    first = read(OWN, tmp_path)
    longer = read(OWN | {"early_terminate": {"type": "hyperband", "min_iter": 9}}, tmp_path)
    assert first.hash_identity() != longer.hash_identity()
    assert list(first.compare_identity(longer)) == ["early_terminate"]


def test_wandbs_engine_needs_a_server_by_name_only_where_it_is_asked_for(tmp_path: Path) -> None:
    poor = EMBEDDED.model_copy(update={"kind": "wandb", "base_url": "https://w.example", "can_enqueue": False})

    def choose(search: str) -> str:
        request = SweepRequest.model_validate(
            {"config_id": "digits:mlp", "params": "alpha", "budget": 100, "search": search}
        )
        return resolve_request(request, tmp_path, lambda: poor).plan.settings.search

    assert choose("auto") == choose("wandb") == "wandb"
    with pytest.raises(MultistageError, match=r"https://w\.example takes no runs enqueued") as refused:
        choose("gp")
    assert refused.value.exit_code == 2


SHIPPED = sorted((Path(__file__).parents[3] / "config" / "sweeps").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_file_can_be_swept(path: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    assert content["name"] == path.stem
    config_id = content["command"][content["command"].index("--config_id") + 1]
    settings = read(content, tmp_path, config_id=config_id, budget=500)
    assert settings.metric == "train/roll/ep_rew/mean"
    assert len(settings.space) == (5 if path.stem == "cartpole_ppo_bayes" else 3)
