import sys
from pathlib import Path

import pytest

from multistage.domain.proposal.calling import Invocation
from multistage.errors import UsageError
from multistage.introduction.command_words import read_words


@pytest.fixture(autouse=True)
def scripts(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("train.py", "my train.py", "pkg/__init__.py", "pkg/train.py", "plain.sh", "data.json"):
        path = workplace / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    runner = workplace / "run.sh"
    runner.write_text("#!/bin/sh\n")
    runner.chmod(0o700)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train.py"], Invocation(program="train.py")),
        (["my train.py", "--lr", "0.1"], Invocation(program="my train.py", typed=("--lr", "0.1"))),
        (["pkg.train", "x"], Invocation(program="pkg.train", kind="module", typed=("x",))),
        (["./run.sh", "x"], Invocation(program="./run.sh", kind="executable", typed=("x",))),
        (["python", "train.py", "x"], Invocation(program="train.py", typed=("x",))),
        ([sys.executable, "train.py"], Invocation(program="train.py")),
        (["python", "-u", "train.py"], Invocation(program="train.py", before=("${env}", "${interpreter}", "-u"))),
        (["python", "-m", "pkg.train", "x"], Invocation(program="pkg.train", kind="module", typed=("x",))),
        (
            ["python", "-m", "torch.distributed.run", "--standalone", "train.py", "x"],
            Invocation(
                program="train.py",
                before=("${env}", "${interpreter}", "-m", "torch.distributed.run", "--standalone"),
                typed=("x",),
            ),
        ),
        (["sh", "plain.sh", "x"], Invocation(program="plain.sh", before=("${env}", "sh"), typed=("x",))),
        (
            ["env", "A=1", "python", "-m", "pkg.train"],
            Invocation(program="pkg.train", kind="module", before=("${env}", "env", "A=1", "python", "-m")),
        ),
    ],
)
def test_a_command_is_taken_apart(words: list[str], expected: Invocation) -> None:
    assert read_words(words, Path.cwd()) == expected


def test_another_interpreter_is_written_down(workplace: Path) -> None:
    assert read_words(["train.py"], workplace, Path("env")).python == "env"
    assert read_words(["python", "train.py"], workplace, Path("env")).python == "env"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["missing.py"], r"missing.py' does not exist in \S+\. Name a file, or a module"),
        ([""], r"^The program's name is empty\."),
        (["python", "missing.py"], "no training script"),
        (["sh", "-c", "true"], "no training script"),
        (["no-such-command", "train.py"], "no-such-command' does not exist"),
        (["plain.sh"], "is not executable.* for init -- bash plain.sh"),
    ],
)
def test_a_program_that_is_not_there_is_refused(words: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_words(words, Path.cwd())


def test_an_interpreter_without_wandb_is_refused(workplace: Path) -> None:
    bare = workplace / "python3"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o700)
    with pytest.raises(UsageError, match="lacks wandb"):
        read_words(["./python3", "train.py"], workplace)
