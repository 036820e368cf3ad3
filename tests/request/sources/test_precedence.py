"""Precedence: what was given, environment, W&B's variables, settings file, defaults; a resume changes nothing."""

import os
from pathlib import Path
from typing import Any

import pytest

from multistage.errors import UsageError
from multistage.request.asked_sweep import read_parameters
from multistage.request.preparation import prepare_folder
from multistage.request.resolution import resolve_request
from multistage.request.resumption import complete_parameters
from multistage.request.sources.precedence import find_runs_dir, gather_parameters, list_runs_dirs

FILE = """
budget = 40
workers = 2
entity = "filed"
ranges.alpha = "1e-5-1e-1"
max_cost = 3
[modal]
cpu = 4
memory = 8
[configs."digits:mlp"]
budget = 60
params = "learning_rate,alpha"
train_arg = { epochs = 5 }
"""
GIVEN = {"config_id": "digits:mlp"}


@pytest.fixture(autouse=True)
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith(("MULTISTAGE_", "WANDB_")):
            monkeypatch.delenv(name)
    Path("multistage.toml").write_text(FILE)
    return workplace


def gather(place: Path, **given: Any) -> dict[str, Any]:
    return gather_parameters({**GIVEN, **given}, place).parameters


def test_each_layer_wins_over_the_one_below_and_says_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(**given: Any) -> tuple[Any, str]:
        found = gather_parameters({**GIVEN, **given}, place)
        return found.parameters["budget"], found.sources["budget"]

    assert look(config_id="CartPole-v1:ppo") == (40, "multistage.toml")
    assert look() == (60, "multistage.toml, digits:mlp")
    monkeypatch.setenv("MULTISTAGE_BUDGET", "70")
    assert look() == (70, "environment")
    assert look(budget=80) == (80, "command line")
    assert look(budget=None) == (70, "environment")


def test_wandbs_variables_stand_between_the_environment_and_the_file(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gather(place)["entity"] == "filed"
    monkeypatch.setenv("WANDB_ENTITY", "theirs")
    assert gather(place)["entity"] == "theirs"
    monkeypatch.setenv("MULTISTAGE_ENTITY", "ours")
    assert gather(place)["entity"] == "ours"


def test_ranges_of_the_file_are_written_out_on_the_parameters_own_scale(place: Path) -> None:
    found = gather_parameters(GIVEN, place)
    assert found.parameters["params"] == "learning_rate,alpha:float:log:1e-05-0.1"
    assert found.sources["ranges.alpha"] == "multistage.toml"
    assert gather(place, params="alpha:1e-3-1")["params"] == "alpha:float:log:0.001-1.0"


def test_ranges_of_the_environment_win_over_the_files(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTISTAGE_RANGES", '{"width": "pow2:32-512", "lr": "1-2"}')
    (place / "multistage.toml").write_text('ranges.lr = "0-1"\nranges.depth = "int:1-4"')
    gathered = gather_parameters({"config_id": "x:y", "command": "x", "params": "lr,width,depth"}, place)
    assert gathered.parameters["params"] == "lr:float:linear:1.0-2.0,width:pow2:32-512,depth:int:linear:1-4"
    assert {key: gathered.sources[f"ranges.{key}"] for key in ("lr", "width", "depth")} == {
        "lr": "environment", "width": "environment", "depth": "multistage.toml",
    }  # fmt: skip


def test_a_script_gets_the_fields_ranges_by_name_and_a_trainer_its_own(place: Path) -> None:
    own = {"config_id": "my:ppo", "program": "train.py"}
    found = gather_parameters({**own, "params": "lr,clip-coef,gamma,alpha,tau:0-1,size"}, place)
    assert found.parameters["params"] == (
        "lr:float:log:1e-05-0.01,clip-coef:float:linear:0.1-0.4,gamma,alpha:float:linear:1e-05-0.1,tau:0-1,size"
    )
    assert found.sources["ranges.clip-coef"] == "RL Baselines3 Zoo"
    told = [name for name in found.sources if name.startswith("ranges.")]
    assert told == ["ranges.alpha", "ranges.lr", "ranges.clip-coef"], "the file's, and then as they were named"
    assert gather_parameters(found.parameters, place).parameters == found.parameters
    assert gather(place, params="tau")["params"] == "tau"


def test_what_containers_take_adds_up_and_is_left_out_on_this_machine(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"modal", "max_cost"} & set(gather(place)) == set()
    monkeypatch.setenv("MULTISTAGE_MODAL__MEMORY", "16")
    found = gather(place, launcher="modal", modal={"gpu": "T4"})
    assert found["modal"] == {"cpu": 4.0, "memory": 16.0, "gpu": "T4"}
    assert found["max_cost"] == 3


def test_gathering_again_changes_nothing(place: Path) -> None:
    once = gather(place, launcher="modal", params="alpha,learning_rate:0.1-0.2")
    assert gather_parameters(once, place).parameters == once


def test_another_file_may_be_named_and_must_be_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = place / "sub" / "mine.toml"
    other.parent.mkdir()
    other.write_text(
        'runs_dir = "sweeps"\n[configs."my:own"]\nprogram = "train.py"\n[configs."my:other"]\nruns_dir = "others"'
    )
    assert gather_parameters({"config_id": "my:own"}, place, other).parameters["program"] == str(
        place / "sub" / "train.py"
    )
    assert find_runs_dir(place) == Path("runs")
    monkeypatch.setenv("MULTISTAGE_SETTINGS", "sub/mine.toml")
    assert find_runs_dir(place) == place / "sub" / "sweeps"
    assert find_runs_dir(place, config_id="my:other") == place / "sub" / "others"
    assert list_runs_dirs(place) == (place / "sub" / "sweeps", place / "sub" / "others")
    monkeypatch.setenv("MULTISTAGE_RUNS_DIR", "/elsewhere")
    assert list_runs_dirs(place) == (find_runs_dir(place),) == (Path("/elsewhere"),)
    monkeypatch.setenv("MULTISTAGE_SETTINGS", "gone.toml")
    with pytest.raises(UsageError, match=r"no settings file .*gone\.toml"):
        gather(place)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("MULTISTAGE_BUDGET", "many", "MULTISTAGE_BUDGET cannot be 'many'"),
        ("MULTISTAGE_TRAIN_ARG", "{", "train_arg"),
        ("MULTISTAGE_MODAL__NOPE", "1", r"^The environment has an unknown key 'modal\.nope'\."),
        ("MULTISTAGE_TRAIN_ARG", "[" * 100_000, "nested too deeply"),
        ("MULTISTAGE_RANGES", '{"width": "pow2:32"}', "MULTISTAGE_RANGES, ranges.width"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, what: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=what):
        gather(place)


def test_a_file_that_cannot_be_read_is_named(place: Path) -> None:
    (place / "multistage.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"multistage\.toml cannot be read"):
        gather(place)


def test_a_sweep_that_is_taken_up_goes_on_as_it_began_whatever_the_file_says_now(place: Path) -> None:
    asked = read_parameters(complete_parameters(GIVEN, place, "flow-1").parameters, place)
    resolved = resolve_request(asked.request, place)
    state = prepare_folder(asked.folder, asked.request, resolved.plan, asked.options, resume=False)
    asked.folder.write_state(state.model_copy(update={"flow_run_id": "flow-1"}))
    (place / "multistage.toml").write_text('budget = 999\nranges.alpha = "0.5-1"\nsplit = "20/60/20"\nworkers = 7')
    for parameters, flow_run in (({**GIVEN, "resume": True}, "flow-2"), (GIVEN, "flow-1")):
        again = read_parameters(complete_parameters(parameters, place, flow_run).parameters, place)
        settings = resolve_request(again.request, place).plan.settings
        assert settings.compare_identity(state.settings) == {}
        assert (settings.budget, again.options.workers) == (60, 2)
    changed = complete_parameters({**GIVEN, "resume": True, "workers": 3}, place).parameters
    assert changed["workers"] == 3
    form = {**GIVEN, "budget": 500, "split": "30/50/20", "resume": True}
    standing = {"budget": 500, "split": "30/50/20"}
    again = read_parameters(complete_parameters(form, place, "flow-2", standing).parameters, place)
    assert resolve_request(again.request, place).plan.settings == state.settings, "a deployment's defaults are no wish"
    grown = complete_parameters(form, place, "flow-2", {"budget": 100, "split": "30/50/20"}).parameters
    assert grown["budget"] == 500
    fresh = complete_parameters(GIVEN, place, "flow-3").parameters
    assert fresh["budget"] == 999
