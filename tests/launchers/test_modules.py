"""A module is looked for on the trainings' path, and nothing of it is imported."""

import sys
from pathlib import Path

import pytest

from multistage.domain.workers.styles import build_command
from multistage.errors import UsageError
from multistage.launchers.modules import check_module

COMMAND = build_command("module")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "src" / "pkg" / "sub").mkdir(parents=True)
    (tmp_path / "src" / "pkg" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (tmp_path / "src" / "pkg" / "train.py").touch()
    (tmp_path / "src" / "pkg" / "sub" / "__main__.py").touch()
    return tmp_path / "src"


@pytest.mark.parametrize("name", ["pkg.train", "pkg.sub", "json.tool"])
def test_what_python_finds_is_found(name: str, package: Path) -> None:
    check_module(name, COMMAND, package)


@pytest.mark.parametrize("name", ["pkg", "pkg.nope", "pkg.train.deeper", "nope"])
def test_what_python_does_not_run_is_refused(name: str, package: Path) -> None:
    with pytest.raises(UsageError, match=f"The module '{name}' is not on the trainings' path") as refused:
        check_module(name, COMMAND, package)
    assert sys.executable in refused.value.message


def test_the_command_says_where_to_look(package: Path) -> None:
    words = ["${env}", "PYTHONPATH=src", "${interpreter}", "-u", "-m", "pkg.train", "${args}"]
    check_module(None, words, package.parent)
    with pytest.raises(UsageError, match=r"pkg\.train"):
        check_module(None, [words[0], *words[2:]], package.parent)


@pytest.mark.parametrize(
    "command",
    [(), ("${interpreter}", "train.py", "-m", "x"), ("uv", "run", "${interpreter}", "-m", "nope"), ("sh", "-m"),
     ("${interpreter}", "-m"), ("${interpreter}", "-u")],
)  # fmt: skip
def test_other_commands_run_no_module_that_could_be_looked_for(command: tuple[str, ...], tmp_path: Path) -> None:
    check_module("nope", command, tmp_path)
