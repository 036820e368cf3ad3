"""Functions that are sent to other processes: by value, or refused in a sentence."""

import importlib.util
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from multistage.errors import UsageError
from multistage.library.functions import name_function, save_function

LOCK = threading.Lock()
SOURCE = "FACTOR = 2\ndef half(x):\n    return x / FACTOR\ndef train(config):\n    return half(config['x'])\n"
CALL = "import cloudpickle, sys; print(cloudpickle.load(open(sys.argv[1], 'rb'))({'x': 8}))"


@pytest.fixture
def module(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the user's own, which no other process finds."""
    file = workplace / "mine.py"
    file.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("mine", file)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mine", found)
    spec.loader.exec_module(found)
    file.unlink()
    return found


def call_elsewhere(path: Path, place: Path) -> str:
    done = subprocess.run([sys.executable, "-c", CALL, path], cwd=place, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_function_takes_its_module_along(module: ModuleType, workplace: Path) -> None:
    path = save_function(module.train, workplace / "runs")
    assert call_elsewhere(path, workplace) == "4.0"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_function_is_kept_as_it_was(module: ModuleType, workplace: Path) -> None:
    before = save_function(module.train, workplace / "runs")
    assert save_function(module.train, workplace / "runs") == before
    module.__dict__["FACTOR"] = 4
    after = save_function(module.train, workplace / "runs")
    assert (call_elsewhere(before, workplace), call_elsewhere(after, workplace)) == ("4.0", "2.0")


def test_what_closes_over_values_is_sent_with_them(workplace: Path) -> None:
    def make(factor: int) -> Callable[[dict[str, Any]], int]:
        return lambda config: config["x"] * factor

    assert call_elsewhere(save_function(make(3), workplace), workplace) == "24"
    assert name_function(make(3)) == "lambda"


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: 1.0, "cannot be called with a config alone"),
        (lambda config, more: config[more], "missing a required argument: 'more'"),
        (lambda config, lock=LOCK: lock and config, "cannot be sent to another process"),
    ],
)
def test_what_cannot_be_sent_is_refused(function: Callable[..., Any], words: str, workplace: Path) -> None:
    with pytest.raises(UsageError, match=words):
        save_function(function, workplace)
    assert not list(workplace.rglob("*.pkl"))
