"""An option is declared once, and then is a flag, a parameter, a key, a variable and a row of the documentation."""

import ast
from collections import Counter
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate
from pydantic import Field, ValidationError

from multistage.cli import main
from multistage.domain.sweep.plan import RunOptions
from multistage.errors import UsageError
from multistage.launchers.registry import list_launchers
from multistage.options.catalogue import FLOW_GROUPS, GROUPS, OPTIONS, Groups, compose_groups, list_all
from multistage.options.option import Declared, Option, Options
from multistage.options.parameters import take_options
from multistage.options.refusal import check_values, spell_key, spell_variable
from multistage.options.tables import write_tables
from multistage.pipeline.flows.multistage_sweep import multistage_sweep
from multistage.request.given_flags import gather_flags
from multistage.request.sources.precedence import gather_parameters, read_variables
from multistage.request.sources.settings_file import build_schema, parse_settings
from tests.options.flags import read_flags

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "options.md"


class ThrowawayOptions(Options):
    """Declares one option more."""

    title: ClassVar[str] = "What is thrown away"
    mark: ClassVar[str] = "waste"

    throw_away: Annotated[int, Field(ge=2), Option(sign="N")] = 3
    """Bags that are thrown away."""


class FarmOptions(Options):
    """What a farm is told."""

    partition: str = "cpu"
    """Where jobs wait."""
    hours: Annotated[int, Field(ge=1, le=48)] = 4
    """Hours that a job may take."""


MORE: Groups = (*GROUPS, ThrowawayOptions)
FOREIGN = compose_groups(GROUPS, {"farm": FarmOptions})


@pytest.fixture(autouse=True)
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "services"))
    monkeypatch.setenv("HOME", str(workplace))
    return workplace


def test_one_declaration_is_seen_in_every_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_flags(MORE, "--throw-away", "5") == {"throw_away": 5}
    with pytest.raises(UsageError, match=r"^--throw-away cannot be 1: it takes a whole number of 2 or more\."):
        read_flags(MORE, "--throw-away", "1")

    @take_options(MORE, needed=("config_id",))
    def some_flow(**parameters: Any) -> None:
        """Some flow."""

    form = parameter_schema(some_flow).properties["throw_away"]
    assert (form["title"], form["type"], form["minimum"]) == ("waste: throw_away", "integer", 2)
    assert form["description"] == "Bags that are thrown away. Default: 3."
    with pytest.raises(UsageError, match=r"^throw_away cannot be 1: it takes"):
        check_values({"throw_away": 1}, spell_key, "Look.", MORE)

    assert parse_settings("throw_away = 4", Path("m.toml"), MORE).list_given() == {"throw_away": 4}
    with pytest.raises(UsageError, match=r"^m\.toml: throw_away cannot be 1: it takes"):
        parse_settings("throw_away = 1", Path("m.toml"), MORE)
    assert build_schema(MORE)["properties"]["throw_away"]["default"] == 3

    for name in ("WANDB_ENTITY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MULTISTAGE_THROW_AWAY", "6")
    assert gather_parameters({}, place, groups=MORE).parameters == {"throw_away": 6}
    monkeypatch.setenv("MULTISTAGE_THROW_AWAY", "1")
    with pytest.raises(UsageError, match=r"^MULTISTAGE_THROW_AWAY cannot be '1': it takes"):
        read_variables(MORE)

    page = PAGE.read_text() + "\n<!-- options: What is thrown away -->\n<!-- end of options -->\n"
    assert "| `--throw-away N` | Bags that are thrown away. | 3 |" in write_tables(page, MORE)


def test_the_options_of_another_packages_launcher_stand_under_its_name(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = read_flags(FOREIGN, "--launcher", "farm", "--farm-hours", "8")
    assert given == {"launcher": "farm", "farm": {"hours": 8}}
    with pytest.raises(UsageError, match=r"^--farm-hours cannot be 49: it takes a whole number from 1 to 48\."):
        read_flags(FOREIGN, "--farm-hours", "49")
    (place / "multistage.toml").write_text('[farm]\npartition = "gpu"\nhours = 2')
    monkeypatch.setenv("MULTISTAGE_FARM__HOURS", "3")
    gathered = gather_flags({"config_id": "a:b", **given}, place, groups=FOREIGN).parameters
    assert (gathered["launcher"], gathered["launcher_options"]) == ("farm", {"partition": "gpu", "hours": 8})
    gathered = gather_flags({"config_id": "a:b", "launcher": "farm"}, place, groups=FOREIGN).parameters
    assert gathered["launcher_options"] == {"partition": "gpu", "hours": 3}
    assert "farm" not in gather_flags({"config_id": "a:b"}, place, groups=FOREIGN).parameters
    with pytest.raises(UsageError, match=r"^--farm-hours has no effect on this machine\. Add --launcher farm\."):
        gather_flags({"config_id": "a:b", "farm": {"hours": 8}}, place, groups=FOREIGN)
    with pytest.raises(UsageError, match=r"^--max-cost has no effect with farm\."):
        gather_flags({"config_id": "a:b", "launcher": "farm", "max_cost": 3.0}, place, groups=FOREIGN)


def test_no_option_is_declared_twice() -> None:
    places = [ROOT / "flows", ROOT / "tasks", *(ROOT / "multistage" / room for room in ("options", "cli"))]
    places += [ROOT / "multistage" / "request" / "sources" / name for name in ("settings_file.py", "precedence.py")]
    files = [file for place in places for file in ([place] if place.suffix else sorted(place.glob("*.py")))]
    groups = (
        node
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef) and node.name != "Declared"
    )
    fields = (line.target for group in groups for line in group.body if isinstance(line, ast.AnnAssign))
    declared = Counter(target.id for target in fields if isinstance(target, ast.Name))
    assert {name: declared[name] for name in OPTIONS} == dict.fromkeys(OPTIONS, 1)
    assert set(signature(multistage_sweep.fn).parameters) <= set(OPTIONS)


def test_the_page_of_options_is_what_the_declarations_say() -> None:
    assert write_tables(PAGE.read_text()) == PAGE.read_text(), "write it with `python -m multistage.options FILE`"


def test_a_form_begins_with_the_common_ones_and_fills_nothing_in() -> None:
    schema = parameter_schema(multistage_sweep).model_dump(exclude_unset=True)
    by_position = sorted(schema["properties"].items(), key=lambda one: one[1]["position"])
    assert {name for name, _ in by_position[:10]} == {
        "config_id", "params", "budget", "seed", "metric", "goal", "program", "name", "launcher", "workers",
    }  # fmt: skip
    assert all(one["title"] == name for name, one in by_position[:10])
    marks = [one["title"].partition(":")[0] for name, one in by_position[10:] if ":" in one["title"]]
    assert [mark for mark, after in zip(marks, [*marks[1:], ""], strict=True) if mark != after] == [
        "search", "approval", "metric", "program", "kept", "notify", "workers", "here", "modal", "slurm", "ssh",
        "workers",
    ]  # fmt: skip
    assert "null" not in str(schema), "a form would say that a property is of the type None"
    filled = {name for name, one in schema["properties"].items() if "default" in one}
    assert filled == {"resume"}, "what stands in the form beats the settings file"
    assert schema["properties"]["goal"]["enum"] == ["maximize", "minimize"]
    assert schema["properties"]["launcher"]["enum"] == list(list_launchers())
    assert {"auto", "gp", "optuna:tpe"} < set(schema["properties"]["search"]["enum"])
    sent = {"config_id": "a:b", "workers": None, "baseline": None, "params": "x:0-1", "modal": {"cpu": 2, "gpu": None}}
    assert validate(sent, schema) == []
    (wrong,) = validate({"config_id": "a:b", "budget": 4}, schema)
    assert wrong.message == "4 is less than the minimum of 10"


WRONG: tuple[tuple[str, Any, str], ...] = (
    ("budget", 4, "it takes a whole number of 10 or more"),
    ("budget", "many", "it takes a whole number of 10 or more"),
    ("grid_resolution", 101, "it takes a whole number from 2 to 100"),
    ("stage1", "all", "it takes auto, grid or sobol"),
    ("worker_idle", 0, "it takes a number above 0, up to 1,000,000,000"),
    ("image_python", "3.9", "it takes 3.11, 3.12, 3.13 or 3.14"),
    ("modal.cpu", 0, "it takes a number from 0.125 to 64"),
    ("modal.gpu", "XT", "'XT' is not one of Modal's GPUs"),
)


@pytest.mark.parametrize(("key", "value", "why"), WRONG)
def test_a_value_out_of_bounds_is_one_sentence_in_every_place(
    key: str, value: Any, why: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flag = f"--{key.replace('_', '-').replace('.', '-')}"
    with pytest.raises(SystemExit) as ended:
        main(("plan", "digits:mlp", "--params", "alpha", flag, str(value)))
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(f"multistage-sweep: {flag} cannot be ")
    assert why in said
    assert said.count("\n") == 1

    name, _, part = key.partition(".")
    with pytest.raises(UsageError) as refused:
        check_values({name: {part: value} if part else value}, spell_key, "Look.", FLOW_GROUPS)
    assert str(refused.value).startswith(f"{key} cannot be {value!r}: {why}")

    with pytest.raises(UsageError) as refused:
        parse_settings(f"{key} = {value!r}", Path("m.toml"))
    assert str(refused.value).startswith(f"m.toml: {key} cannot be {value!r}: {why}")

    variable = f"MULTISTAGE_{key.replace('.', '__').upper()}"
    monkeypatch.setenv(variable, str(value))
    with pytest.raises(UsageError) as refused:
        read_variables()
    assert str(refused.value).startswith(f"{variable} cannot be '{value}': {why}")


AMOUNTS = [one for one in list_all(FLOW_GROUPS) if one.kind is float]


@pytest.mark.parametrize("option", AMOUNTS, ids=lambda option: option.key)
@pytest.mark.parametrize("text", ["inf", "-inf", "nan", "1e400", "1e10", "-1"])
def test_every_amount_is_finite_and_has_an_end_in_every_place(
    option: Declared, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=rf"^{option.flag} cannot be "):
        read_flags(GROUPS, option.flag, text)
    with pytest.raises(UsageError, match=rf"^m\.toml: {option.key} cannot be "):
        parse_settings(f"{option.key} = {text}", Path("m.toml"))
    monkeypatch.setenv(spell_variable(option), text)
    with pytest.raises(UsageError, match=rf"^{spell_variable(option)} cannot be "):
        read_variables()
    value = {option.name: float(text)}
    with pytest.raises(UsageError, match=rf"^{option.key} cannot be "):
        check_values({option.prefix: value} if option.prefix else value, spell_key, "Look.", FLOW_GROUPS)
    with pytest.raises(ValidationError):
        RunOptions.model_validate({option.prefix: value} if option.prefix else value)


def test_the_amounts_are_those_of_the_catalogue() -> None:
    assert {option.key for option in AMOUNTS} == {
        "worker_idle", "stall_after", "stage_deadline", "approve_timeout", "max_cost", "gpus_per_run", "modal.cpu",
        "modal.memory",
    }  # fmt: skip


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e400", "1e10", "0", "-1"])
@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("plan", "digits:mlp", "--params", "alpha"), "--run-seconds"),
        (("init", "train.py"), "--init-timeout"),
        (("work", "http://127.0.0.1:9/name"), "--idle"),
    ],
)
def test_a_commands_own_seconds_are_as_bounded(
    words: tuple[str, ...], flag: str, seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main((words[0], flag, seconds, *words[1:]))
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(f"multistage-sweep: {flag} cannot be {float(seconds):g}: it takes seconds above 0")
    assert said.count("\n") == 1
