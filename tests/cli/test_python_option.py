"""``--python``: checked before anything is started, told by the plan and the doctor."""

import os
import sys
import venv
from pathlib import Path

import httpx
import pytest

from multistage.cli import main

SWEEP = ("my:script", "--program", "train.py", "--params", "x:0-1", "--metric", "score", "--tracker", "embedded")


@pytest.fixture(autouse=True)
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith(("MULTISTAGE_", "WANDB_", "PREFECT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(workplace / "home"))
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "services"))
    (workplace / "train.py").write_text("import wandb")
    (workplace / "elsewhere").mkdir()
    return workplace


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def make_environment(folder: Path, wandb: str | None = None) -> Path:
    """Make a real environment, in which at most a W&B client is said to be installed."""
    venv.create(folder, symlinks=True)
    if wandb is not None:
        (modules,) = folder.glob("lib/python*/site-packages")
        (modules / f"wandb-{wandb}.dist-info").mkdir()
        (modules / f"wandb-{wandb}.dist-info" / "METADATA").write_text(f"Name: wandb\nVersion: {wandb}\n")
    return folder


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("python", "words"),
    [
        ("train.py", "train.py is not a Python interpreter."),
        ("elsewhere", "elsewhere is not a Python interpreter."),
        ("bare", "bin/python lacks wandb, with which trainings report. Install one:"),
        ("old", "has wandb 0.25.1, older than 0.26. Install one:"),
    ],
)
def test_what_cannot_train_is_refused_before_anything_starts(
    capsys: pytest.CaptureFixture[str], place: Path, command: str, python: str, words: str
) -> None:
    make_environment(place / "bare")
    make_environment(place / "old", "0.25.1")
    code, printed, said = call(capsys, command, *SWEEP, "--python", python)
    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert words in said
    assert not (place / "services").exists()
    assert not (place / "runs").exists()


def test_a_module_is_looked_for_by_the_interpreter_that_was_named(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    sweep = [word.replace("train.py", "rich.tree") for word in SWEEP]
    assert call(capsys, "plan", *sweep)[0] == 0, "this one has it"
    code, printed, said = call(capsys, *sweep, "--python", str(make_environment(place / "new", "0.26.1")))
    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert "The module 'rich.tree' is not on the trainings' path" in said
    assert str(place / "new" / "bin" / "python") in said
    assert not (place / "services").exists()
    assert not (place / "runs").exists()


def test_a_bundled_trainer_runs_in_this_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = call(capsys, "digits:mlp", "--params", "alpha", "--tracker", "embedded", "--python", sys.executable)
    assert code == 2
    assert "the bundled trainer of digits:mlp runs in this one" in said


def test_containers_have_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = call(capsys, *SWEEP, "--launcher", "modal", "--python", sys.executable)
    assert code == 2
    assert "--python has no effect on Modal. Containers have their own: --image-python" in said


@pytest.mark.parametrize("by", ["flag", "variable", "file"])
def test_the_plan_and_the_doctor_tell_it_wherever_it_was_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: Path, by: str
) -> None:
    (place / "env").symlink_to(sys.prefix)
    options: tuple[str, ...] = ()
    if by == "flag":
        options = ("--python", "env")
    elif by == "variable":
        monkeypatch.setenv("MULTISTAGE_PYTHON", "env/bin/python")
    else:
        Path("multistage.toml").write_text('python = "env"')
    told = f"{place / 'env' / 'bin' / 'python'}, Python {sys.version_info.major}.{sys.version_info.minor}."
    for command in (("plan", *SWEEP, *options), ("doctor", "--json", *options)):
        code, printed, said = call(capsys, *command)
        assert code == 0, said
        assert told in printed


def test_what_is_overridden_is_said_by_the_plan_and_a_fatal_setting_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_NAME", "mine")
    code, printed, _ = call(capsys, "plan", *SWEEP)
    assert code == 0
    assert "Warning: WANDB_MODE=offline is overridden for trainings" in printed
    assert "Warning: Trainings do not get WANDB_NAME" in printed
    Path("wandb").mkdir()
    (Path("wandb") / "settings").write_text("[default]\nresume = must")
    code, _, said = call(capsys, *SWEEP)
    assert (code, said.count("\n")) == (2, 1)
    assert "sets resume" in said


@pytest.mark.parametrize("has_socks", [True, False])
def test_prefects_client_bears_a_socks_proxy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, has_socks: bool
) -> None:
    if has_socks:
        pytest.importorskip("socksio")
    else:
        monkeypatch.setattr("multistage.cli.find_spec", lambda _: None)
    for name in ("no_proxy", "NO_PROXY"):  # completed, and restored after the test
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    call(capsys, "plan", *SWEEP)
    assert ("all_proxy" in os.environ) == has_socks
    httpx.Client().close()


def test_a_proxy_that_no_client_knows_is_left_out_with_a_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("no_proxy", "corp.example")
    monkeypatch.setenv("NO_PROXY", "corp.example")
    monkeypatch.setenv("all_proxy", "socks://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    _, _, said = call(capsys, "plan", *SWEEP)
    assert "all_proxy is left out, for trainings too: Prefect's client knows no socks proxies." in said
    assert os.environ["no_proxy"] == "corp.example,127.0.0.1,localhost"
    assert "https_proxy" in os.environ
    assert "all_proxy" not in os.environ
