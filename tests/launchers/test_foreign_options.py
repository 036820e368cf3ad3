"""The options of a launcher that another package brings reach it from every place, under its name."""

import subprocess
import sys
from pathlib import Path

import pytest

from multistage.errors import UsageError
from multistage.launchers.registry import find_kind, list_groups
from multistage.options.catalogue import GROUPS, list_all
from multistage.request.asked_sweep import read_parameters
from multistage.request.sources.precedence import gather_parameters
from tests.launchers.distributions import install


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install("spare = spare_launcher:SpareKind", tmp_path / "site", monkeypatch)
    return tmp_path


def call(place: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Call the command line in a process of its own, which finds what is installed as it starts."""
    command = [sys.executable, "-m", "multistage", *words]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=120)


def test_flags_know_them(place: Path) -> None:
    assert "--spare-nice" in call(place, "plan", "--help").stdout
    sweep = ("plan", "digits:mlp", "--params", "alpha", "--launcher", "spare")
    refused = call(place, *sweep, "--spare-nice", "20")
    assert refused.returncode == 2
    assert "--spare-nice cannot be 20: it takes a whole number from 0 to 19." in refused.stderr
    refused = call(place, "plan", "digits:mlp", "--params", "alpha", "--spare-nice", "2")
    assert refused.returncode == 2
    assert "--spare-nice has no effect on this machine. Add --launcher spare." in refused.stderr


def test_the_file_knows_them(place: Path) -> None:
    (place / "multistage.toml").write_text('launcher = "spare"\n[spare]\nnice = 4\n')
    assert gather_parameters({"config_id": "digits:mlp"}, place).parameters["launcher_options"] == {"nice": 4}
    (place / "multistage.toml").write_text('launcher = "spare"\n[spare]\nnise = 4\n')
    with pytest.raises(UsageError, match=r"unknown key 'spare.nise'") as refused:
        gather_parameters({"config_id": "digits:mlp"}, place)
    assert refused.value.hint == "Did you mean nice?"


def test_a_flow_takes_them_in_one_parameter(place: Path) -> None:
    asked = {"config_id": "digits:mlp", "params": "alpha", "launcher": "spare", "runs_dir": place}
    assert read_parameters({**asked, "launcher_options": {"nice": 4}}, place).options.launcher_options == {"nice": 4}
    with pytest.raises(UsageError, match=r"^spare\.nice cannot be 20: it takes a whole number from 0 to 19\."):
        read_parameters({**asked, "launcher_options": {"nice": 20}}, place)
    with pytest.raises(UsageError, match=r"nise"):
        read_parameters({**asked, "launcher_options": {"nise": 4}}, place)


def test_one_that_cannot_be_loaded_spoils_no_other_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("gone = spare_launcher:Nobody", tmp_path / "site", monkeypatch)
    assert list_groups() == GROUPS
    assert call(tmp_path, "plan", "--help").returncode == 0
    with pytest.raises(UsageError, match=r"'gone', spare_launcher:Nobody, cannot be loaded"):
        find_kind("gone")


@pytest.mark.parametrize("name", ["seed", "spare-machine"])
def test_one_whose_options_could_not_stand_under_its_name_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(f"{name} = spare_launcher:SpareKind", tmp_path / "site", monkeypatch)
    import spare_launcher  # type: ignore[import-not-found]

    monkeypatch.setattr(spare_launcher.SpareKind, "name", name)
    with pytest.raises(UsageError, match="cannot have that name"):
        find_kind(name)
    assert [one.name for one in list_all(list_groups())] == [one.name for one in list_all(GROUPS)]
