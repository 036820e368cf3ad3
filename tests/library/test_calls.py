"""The public functions up to where something would be started."""

import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import multistage
from multistage.errors import FolderError, UsageError
from multistage.library.command import write_flags
from multistage.library.plain_values import make_plain
from multistage.store.sweep_folder import SweepFolder
from tests.states import make_state


def train(config: Mapping[str, Any]) -> float:
    return float(config["x"])


@pytest.fixture(autouse=True)
def nobody(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with nothing configured."""
    monkeypatch.setenv("HOME", str(workplace))
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "services"))


def test_nothing_else_is_public() -> None:
    assert dir(multistage) == ["Result", "load", "plan", "resume", "sweep"]
    with pytest.raises(AttributeError, match="no attribute 'swep'"):
        multistage.__getattr__("swep")


def test_the_package_alone_loads_nothing() -> None:
    loaded = "import sys, multistage; print(any(name in sys.modules for name in ('pydantic', 'prefect', 'wandb')))"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True).stdout == "False\n"


def test_options_become_flags() -> None:
    options = {
        "stage_deadline": 60, "approve": True, "keep_workers": False, "name": None, "runs_dir": Path("a b"),
        "train_arg": {"epochs": 3, "text": "x=y"}, "baseline": ["x=1"], "budget": np.int64(30),
    }  # fmt: skip
    assert write_flags(options) == [
        "--stage-deadline=60", "--approve", "--keep-workers=false", "--runs-dir=a b",
        "--train-arg=epochs=3", "--train-arg=text=x=y", "--baseline=x=1", "--budget=30",
    ]  # fmt: skip


def test_a_plan_tells_what_would_run_and_starts_nothing(workplace: Path) -> None:
    text = multistage.plan(train, {"x": (0.0, 1.0), "n": [1, 2]}, budget=20)
    assert "train: maximize value (last), 20 runs" in text
    assert "0 to 1" in text
    assert not (workplace / "services").exists()


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (np.float64(1e-5), 1e-5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("relu"), "relu"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([Path("a"), np.int32(1)], dtype=object), ["a", 1]),
        ((np.float64(1e-5), 1e-1), (1e-5, 1e-1)),
        ({"values": list(np.logspace(0, 1, 2))}, {"values": [1.0, 10.0]}),
        ({np.int8(1), 2}, {1, 2}),
        (Path("a b"), "a b"),
        (None, None),
    ],
)
def test_values_of_a_program_become_plain(given: Any, plain: Any) -> None:
    def list_kinds(value: Any) -> Any:
        inner = value.values() if isinstance(value, dict) else value
        return type(value), [list_kinds(each) for each in inner] if isinstance(inner, list | tuple | set) else []

    assert make_plain(given) == plain
    assert list_kinds(make_plain(given)) == list_kinds(plain)


def test_ranges_and_choices_may_be_of_numpy() -> None:
    params = {
        "alpha": list(np.logspace(-5, -1, 5)),
        "hidden_size": np.array([16, 32]),
        "learning_rate": (np.float64(0.1), 0.5),
    }
    text = multistage.plan("digits:mlp", params, budget=np.int64(20))
    assert "one of 16, 32" in " ".join(text.split())


def test_what_is_off_is_none_of_its_launchers_business() -> None:
    assert "20 runs" in multistage.plan(train, {"x": (0.0, 1.0)}, budget=20, resumable=False, keep_workers=False)


def test_false_holds_against_the_settings(workplace: Path) -> None:
    (workplace / "multistage.toml").write_text("resumable = true\n")
    told = multistage.plan(train, {"x": (0.0, 1.0)}, budget=20, resumable=False)
    assert "resumable False command line" in " ".join(told.replace("│", " ").split())


def test_a_named_settings_file_says_where_sweeps_lie(workplace: Path) -> None:
    (workplace / "cfg").mkdir()
    (workplace / "cfg" / "m.toml").write_text('runs_dir = "elsewhere"\n')
    folder = SweepFolder(workplace / "cfg" / "elsewhere" / "mine")
    folder.write_state(make_state())
    assert multistage.load("mine", settings="cfg/m.toml").folder == folder.path
    multistage.plan(train, {"x": (0.0, 1.0)}, budget=20, settings=Path("cfg/m.toml"))
    assert list((workplace / "cfg" / "elsewhere" / "functions").iterdir())
    assert not (workplace / "runs").exists()


@pytest.mark.parametrize("call", ["sweep", "resume"])
def test_results_are_looked_for_where_the_settings_put_them(
    call: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "m.toml").write_text('runs_dir = "elsewhere"\n')
    folder = SweepFolder(workplace / "elsewhere" / "mine")
    folder.write_state(make_state())
    monkeypatch.setattr("multistage.library.calls.run_command", lambda *_: '{"name": "mine"}')
    subject: tuple[Any, ...] = (train, "x:0-1") if call == "sweep" else ("mine",)
    assert getattr(multistage, call)(*subject, settings="m.toml", quiet=True).folder == folder.path


@pytest.mark.parametrize(
    ("trains", "params", "options", "words"),
    [
        (train, {"x": "wide"}, {}, "range of x cannot be 'wide'"),
        (train, {"x": (1.0, 0.0)}, {}, "x"),
        (train, {"x": [1.0, Decimal("0.1")]}, {}, r"cannot hold Decimal\('0.1'\)"),
        (train, "x:0-1", {"bugdet": False}, "bugdet"),
        (train, "x:0-1", {"launcher": "modal"}, "trained on this machine"),
        (train, "x:0-1", {"program": "train.py"}, "takes no program"),
        (train, "x:0-1", {"budget": 3}, "10 or more"),
        (train, "x:0-1", {"bugdet": 30}, "bugdet"),
        ("train.py", "x:0-1", {"metric": "score"}, "does not exist"),
        ("nobody:knows", "x:0-1", {}, "No bundled trainer"),
    ],
)
def test_misuse_is_a_sentence_and_starts_nothing(
    trains: Any, params: Any, options: dict[str, Any], words: str, workplace: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        multistage.sweep(trains, params, quiet=True, **options)
    assert not (workplace / "services").exists()


def test_a_sweep_that_is_not_there_is_named() -> None:
    with pytest.raises(FolderError, match="'nobody'"):
        multistage.load("nobody")
