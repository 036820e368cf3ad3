"""A path begins at home wherever it is written, and is never empty."""

from pathlib import Path

import pytest
from cyclopts import CoercionError
from platformdirs import user_data_path

from multistage.cli import main
from multistage.cli.flags import explain_flag
from multistage.errors import UsageError
from multistage.options.catalogue import FLOW_GROUPS, GROUPS, OPTIONS, list_all
from multistage.options.option import Declared
from multistage.options.refusal import check_values, spell_key, spell_variable
from multistage.request.sources.precedence import find_settings_file, read_variables
from multistage.request.sources.settings_file import parse_settings
from multistage.settings import Settings
from tests.options.flags import read_flags

PATHS = [one for one in list_all(FLOW_GROUPS) if one.kind is Path]


@pytest.fixture(autouse=True)
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "services"))
    monkeypatch.setenv("HOME", str(workplace))
    return workplace


def test_the_paths_are_those_of_the_catalogue() -> None:
    assert {option.key for option in PATHS} == {"python", "project_dir", "runs_dir", "settings"}


@pytest.mark.parametrize("option", PATHS, ids=lambda option: option.key)
def test_a_path_begins_at_home_where_no_shell_says_so_and_is_not_empty(
    option: Declared, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, there = option.name, place / "some" / "place"
    assert read_flags(GROUPS, f"{option.flag}=~/some/place") == {name: there}
    assert check_values({name: "~/some/place"}, spell_key, "Look.", FLOW_GROUPS) == {name: there}
    with pytest.raises(UsageError, match=rf"^{option.key} cannot be '': it takes a path"):
        check_values({name: ""}, spell_key, "Look.", FLOW_GROUPS)
    with pytest.raises(CoercionError) as refused:
        read_flags(GROUPS, option.flag, "")
    assert str(explain_flag(refused.value)).startswith(f"{option.flag} cannot be '': it takes a path.")
    if not option.option.filed:
        return
    assert parse_settings(f"{name} = '~/some/place'", Path("m.toml")).list_given() == {name: there}
    with pytest.raises(UsageError, match=rf"^m\.toml: {name} cannot be '': it takes a path"):
        parse_settings(f"{name} = ''", Path("m.toml"))
    monkeypatch.setenv(spell_variable(option), "~/some/place")
    assert read_variables().list_given() == {name: there}


def test_a_user_whom_nobody_knows_stays_in_a_path_as_in_a_shell() -> None:
    assert read_flags(GROUPS, "--runs-dir=/x/~nobody")["runs_dir"] == Path("/x/~nobody")
    assert check_values({"runs_dir": "~no-such-user/x"}, spell_key, "Look.", FLOW_GROUPS) == {
        "runs_dir": Path("~no-such-user/x")
    }


def test_a_variable_that_is_empty_is_none(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for option in OPTIONS.values():
        monkeypatch.setenv(spell_variable(option), "")
    monkeypatch.setenv("MULTISTAGE_SETTINGS", "")
    monkeypatch.setenv("MULTISTAGE_HOME", "")
    assert read_variables().list_given() == {}
    assert Settings().home == user_data_path("multistage-sweep")
    monkeypatch.setenv("MULTISTAGE_HOME", "~/services")
    assert Settings().prefect_folder == place / "services" / "prefect"
    monkeypatch.setenv("MULTISTAGE_SETTINGS", "~/mine.toml")
    (place / "mine.toml").write_text("")
    assert find_settings_file(place / "elsewhere") == place / "mine.toml"


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--runs-dir=~/sweeps"),
        ("status", "mine", "--runs-dir=~/sweeps"),
        ("best", "mine", "--runs-dir=~/sweeps"),
        ("report", "mine", "--runs-dir=~/sweeps"),
        ("runs", "mine", "--runs-dir=~/sweeps"),
        ("train", "mine", "--runs-dir=~/sweeps"),
        ("compare", "mine", "--runs-dir=~/sweeps"),
        ("approve", "mine", "--runs-dir=~/sweeps"),
        ("resume", "mine", "--runs-dir=~/sweeps"),
        ("settings", "--settings=~/sweeps"),
        ("single", "~/sweeps"),
        ("doctor", "--json", "--python=~/sweeps"),
        ("plan", "a:b", "--sweep-file=~/sweeps"),
    ],
    ids=" ".join,
)
def test_a_commands_own_paths_begin_at_home_too(
    words: tuple[str, ...], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(words)
    said = "".join("".join(capsys.readouterr()).split())
    assert f"{place}/sweeps" in said
    assert "~" not in said
