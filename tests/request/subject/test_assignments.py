"""`--train-arg`, `--params` choices and sweep files: values as they were meant, from the request into state.json."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multistage.domain.sweep.plan import SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.errors import UsageError
from multistage.request.resolution import ResolvedRequest, resolve_request


def resolve(tmp_path: Path, **asked: Any) -> ResolvedRequest:
    whole = {"config_id": "my:own", "command": "python train.py", "metric": "loss", "budget": 20} | asked
    return resolve_request(SweepRequest.model_validate(whole), tmp_path)


@given(
    text=st.text() | st.sampled_from(["inf", "-inf", "nan", ".nan", "1e999", "Infinity", "7", "1e-3", "False", "007"])
)
def test_whatever_a_fixed_value_is_a_state_file_gives_it_back(text: str) -> None:
    settings = resolve(Path(), params="x:0-1", train_arg=(f"a={text}",)).plan.settings
    assert not isinstance(settings.fixed["a"], float) or math.isfinite(settings.fixed["a"])
    written = settings.model_dump_json()
    json.loads(written, parse_constant=lambda word: pytest.fail(f"{word} is not valid JSON"))
    again = SweepSettings.model_validate_json(written)
    assert again == settings
    assert type(again.fixed["a"]) is type(settings.fixed["a"])


def test_what_a_bundled_trainer_takes_as_a_number_only_is_refused_where_it_is_not_finite(tmp_path: Path) -> None:
    for text in ("inf", "nan", "-inf", ".inf", "1e999"):
        with pytest.raises(UsageError, match="refuses alpha"):
            resolve(
                tmp_path, config_id="digits:mlp", params="learning_rate", command=None, metric=None,
                train_arg=(f"alpha={text}",),
            )  # fmt: skip


def test_what_stays_text_is_said_to_whoever_may_have_meant_a_number(tmp_path: Path) -> None:
    given = ("use_amp=False", "version=1.10", "date=2024_01_15", "lr=1e-3", 'name="8"', "n=12e45678")
    resolved = resolve(tmp_path, params="x:0-1", train_arg=given)
    assert resolved.plan.settings.fixed == {
        "use_amp": False, "version": "1.10", "date": "2024_01_15", "lr": 0.001, "name": "8", "n": "12e45678",
    }  # fmt: skip
    assert [warning.partition(":")[0] for warning in resolved.warnings] == [
        "--train-arg gives version the text 1.10",
        "--train-arg gives n the text 12e45678",
    ]


def test_a_table_of_settings_keeps_its_kinds(tmp_path: Path) -> None:
    table = {"a": "007", "b": "1.10", "c": "true", "d": True, "e": "8", "f": 8, "g": 1.0, "h": math.inf}
    fixed = resolve(tmp_path, params="x:0-1", train_arg=table).plan.settings.fixed
    assert fixed == table | {"h": "inf"}
    assert [type(value) for value in fixed.values()] == [str, str, str, bool, str, int, float, str]


def test_choices_on_the_command_line_are_taken_as_meant(tmp_path: Path) -> None:
    resolved = resolve(
        tmp_path, params="x:[1|true|0.5],y:[1|1.0|1e0|2],z:[relu|007]", baseline=("x=true", "y=1", "z=007")
    )
    settings = resolved.plan.settings
    assert settings.space.bounds == {"x": ["1", "true", "0.5"], "y": [1, 2], "z": ["relu", "007"]}
    assert settings.layout["x"].is_json
    assert settings.baseline == {"x": "true", "y": 1, "z": "007"}
    assert [note for note in resolved.warnings if "its values" in note] == [
        "x has true beside an equal number among its values: they are kept apart.",
        "y names 1 more than once among its values: each counts once.",
    ]


@pytest.mark.parametrize("name", ["seed", "random_seed", "trainer.seed", "random_state", "data-seed"])
def test_a_seed_among_the_parameters_is_said_with_the_remedy(name: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    file = {
        "method": "random",
        "program": "train.py",
        "parameters": {name: {"values": [1, 2, 3]}, "lr": {"min": 0.1, "max": 1.0}},
    }
    for single in (False, True):
        warnings = resolve(tmp_path, command=None, sweep_file=file, single=single).warnings
        assert any(f"--seed-param {name}" in warning for warning in warnings)
    assert not any("hyperparameter" in one for one in resolve(tmp_path, params="seedling:0-1").warnings)


def test_a_single_sweep_is_sent_as_it_was_meant(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    size = {"distribution": "q_uniform", "min": 16, "max": 512, "q": 64}
    file = {"method": "random", "program": "train.py", "parameters": {"lr": {"min": "1e-5", "max": 1}, "size": size}}
    resolved = resolve(tmp_path, command=None, sweep_file=file, single=True)
    assert resolved.plan.settings.definition is not None
    assert resolved.plan.settings.definition["parameters"] == {
        "lr": {"min": 1e-5, "max": 1.0}, "size": {"distribution": "q_uniform", "min": 64, "max": 512, "q": 64},
    }  # fmt: skip
    assert sum("from 64 to 512" in note or "'1e-5' as text" in note for note in resolved.warnings) == 2
