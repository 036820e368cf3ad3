"""How the Makefile chooses a Python and a build of PyTorch; nothing is installed here."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN_SOURCES = ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
OF_AN_OUTER_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")  # which has a make within it say which folder it is in

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def run_make(venv: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in (*OWN_SOURCES, *OF_AN_OUTER_MAKE)}
    command = ["make", f"VENV={venv}", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment | variables, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.skipif(platform.system() != "Linux", reason="elsewhere PyTorch's ordinary build is the CPU's")
@pytest.mark.parametrize("source", [None, *OWN_SOURCES])
def test_linux_gets_the_cpu_build_unless_the_user_has_sources_of_their_own(tmp_path: Path, source: str | None) -> None:
    variables = {source: "/somewhere"} if source else {}
    commands = run_make(tmp_path / "venv", "--dry-run", "install", **variables).stdout
    assert ("--index-url https://download.pytorch.org/whl/cpu" in commands) == (source is None)
    assert "install 'torch==" in commands


def test_the_index_can_be_named_and_emptied(tmp_path: Path) -> None:
    named = run_make(tmp_path / "venv", "--dry-run", "install", "TORCH_INDEX=https://mirror.example/cpu")
    assert "--index-url https://mirror.example/cpu" in named.stdout
    assert "--index-url" not in run_make(tmp_path / "venv", "--dry-run", "install", TORCH_INDEX="").stdout


def test_an_old_python_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    result = run_make(tmp_path / "venv", "install", f"PYTHON={old}")
    assert result.returncode != 0
    assert f"needs Python 3.11 or later; {old} is not" in result.stdout
    assert not (tmp_path / "venv").exists()


def test_what_is_installed_is_not_installed_again(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    for name in ("bin/python", ".torch", ".installed"):
        (venv / name).touch()
    assert "up to date" in run_make(venv, f"{venv}/.installed").stdout
    (venv / ".installed").unlink()
    assert "--editable '.[atari,digits]'" in run_make(venv, "--dry-run", "install").stdout


def test_all_tests_have_the_libraries_that_scripts_are_written_with(tmp_path: Path) -> None:
    commands = run_make(tmp_path / "venv", "--dry-run", "test-all", "ARGS=-x").stdout
    assert "--editable '.[dev,scripts]'" in commands
    assert [line for line in commands.splitlines() if line.endswith("/bin/pytest -x")]
    assert "scripts" not in run_make(tmp_path / "venv", "--dry-run", "test").stdout


def test_the_contract_is_a_target_that_is_listed(tmp_path: Path) -> None:
    assert "make contract " in run_make(tmp_path / "venv", "help").stdout
    commands = run_make(tmp_path / "venv", "--dry-run", "contract", "ARGS=-k runs").stdout
    assert commands.splitlines()[-1].endswith("/bin/python -m tests.contract -k runs")
