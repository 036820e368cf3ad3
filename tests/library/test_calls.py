"""The public functions up to where something would be started."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import multistage
from multistage.errors import FolderError, UsageError
from multistage.library.command import write_flags


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
        "train_arg": {"epochs": 3, "text": "x=y"}, "baseline": ["x=1"],
    }  # fmt: skip
    assert write_flags(options) == [
        "--stage-deadline=60", "--approve", "--no-keep-workers", "--runs-dir=a b",
        "--train-arg=epochs=3", "--train-arg=text=x=y", "--baseline=x=1",
    ]  # fmt: skip


def test_a_plan_tells_what_would_run_and_starts_nothing(workplace: Path) -> None:
    text = multistage.plan(train, {"x": (0.0, 1.0), "n": [1, 2]}, budget=20)
    assert "train: maximize value (last), 20 runs" in text
    assert "0 to 1" in text
    assert not (workplace / "services").exists()


@pytest.mark.parametrize(
    ("trains", "params", "options", "words"),
    [
        (train, {"x": "wide"}, {}, "range of x cannot be 'wide'"),
        (train, {"x": (1.0, 0.0)}, {}, "x"),
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
