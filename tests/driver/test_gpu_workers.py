"""How many workers a machine's GPUs make, and what is refused before anything is started."""

from pathlib import Path
from typing import Any

import pytest

from multistage.cli import main
from multistage.launchers.local import kind
from multistage.request.asked_sweep import read_parameters
from tests import fake_nvml

OWN = ("my:own", "--params", "x:0-1", "--metric", "y", "--budget", "20", "--program", "train.py")


@pytest.fixture(autouse=True)
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (workplace / "train.py").touch()
    monkeypatch.setattr(kind, "count_cores", lambda: 8)
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "home"))
    return workplace


@pytest.mark.parametrize(
    ("gpus", "given", "workers"),
    [
        (0, {"program": "train.py"}, 8),
        (2, {"program": "train.py"}, 2),
        (16, {"program": "train.py"}, 8),
        (2, {"program": "train.py", "gpus_per_run": 0.5}, 4),
        (4, {"program": "train.py", "gpus_per_run": 2}, 2),
        (2, {"program": "train.py", "gpus_per_run": 0}, 8),
        (2, {"program": "train.py", "workers": 5}, 5),
        (2, {}, 8),
        (2, {"sweep_file": {"program": "train.py"}}, 2),
    ],
)
def test_workers_follow_from_the_gpus(
    gpus: int, given: dict[str, Any], workers: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_nvml.install(monkeypatch, gpus)
    asked = read_parameters({"config_id": "digits:mlp", "params": "x:0-1"} | given, place)
    assert asked.options.workers == workers


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--gpus-per-run", "3"), "2 GPUs were found, and --gpus-per-run asks for 3."),
        (("--gpus-per-run", "1", "--workers", "3"), "are enough for 2 workers"),
        (("--gpus-per-run", "1.5"), "--gpus-per-run cannot be 1.5"),
        (("--gpus-per-run", "-1"), "--gpus-per-run cannot be -1"),
        (("--gpus-per-run", "1", "--launcher", "modal"), "--gpus-per-run has no effect on Modal"),
    ],
)
def test_too_much_is_one_line_and_starts_nothing(
    arguments: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_nvml.install(monkeypatch, 2)
    for command in ((), ("plan",)):
        with pytest.raises(SystemExit) as ended:
            main((*command, *OWN, *arguments))
        assert ended.value.code == 2
        captured = capsys.readouterr()
        (line,) = captured.err.splitlines()
        assert (words in line, captured.out) == (True, "")
    assert [path.name for path in Path.cwd().iterdir()] == ["train.py"]


def test_the_plan_says_how_many_were_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fake_nvml.install(monkeypatch, 2)
    with pytest.raises(SystemExit) as ended:
        main(("plan", *OWN))
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "This machine: 2 GPUs (Tesla T4) found." in told
    assert "20 runs, 2 at once" in told
