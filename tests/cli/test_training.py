"""What is printed for copying where `train` and `compare` are interrupted."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from multistage.cli import main
from multistage.store.sweep_folder import SweepFolder, find_folder
from tests.states import make_state


def interrupt(*_: Any) -> Any:
    raise KeyboardInterrupt


@pytest.fixture
def interrupted(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> SweepFolder:
    """A sweep in a folder that no settings name, whose trainings are interrupted at once."""
    folder = SweepFolder(workplace / "an other" / "mine")
    folder.write_state(make_state(1))

    @contextmanager
    def open_session(name: str, *places: Path) -> Iterator[Any]:
        yield SimpleNamespace(folder=find_folder(name, *places), state=make_state(1))

    monkeypatch.setattr("multistage.cli.training.open_for_training", open_session)
    monkeypatch.setattr("multistage.report.best_config.select_best", lambda _: {"lr": 0.1})
    monkeypatch.setattr("multistage.retraining.replication.find_seed_parameter", lambda _: "seed")
    side = SimpleNamespace(url="http://x", train=interrupt)
    monkeypatch.setattr("multistage.retraining.replication.replicate", lambda *_: side)
    monkeypatch.setattr("multistage.retraining.other_searches.compare_methods", interrupt)
    return folder


@pytest.mark.parametrize("words", [("train", "--seed", "7", "--runs", "2"), ("compare", "--seeds", "3")])
def test_the_command_that_continues_finds_the_sweep(
    words: tuple[str, ...], interrupted: SweepFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *options = words
    with pytest.raises(SystemExit) as ended:
        main((command, "mine", "--runs-dir", "an other", *options))
    assert ended.value.code == 130
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Resume with: ")]
    typed = shlex.split(line.removeprefix("Resume with: "))
    assert typed == ["multistage-sweep", command, str(interrupted.path), *options]
