"""``multistage.toml``: all that a sweep takes, refused plainly where it makes no sense."""

import tomllib
from pathlib import Path

import jsonschema
import pytest

from multistage.errors import UsageError
from multistage.options.catalogue import GROUPS, list_all
from multistage.options.modal import Resources
from multistage.options.slurm import JobResources
from multistage.options.ssh import HostOptions
from multistage.request.sources.settings_file import build_schema, build_settings, parse_settings

WHOLE = """
budget = 300
split = "40/40/20"
train_arg = { total_steps = 2000, fast = true, name = "x" }
workers = 4
runs_dir = "sweeps"
[ranges]
lr = "log:1e-5-1e-2"
act = "[relu|tanh]"
[modal]
cpu = 4
gpu = "T4"
[configs."my-model:v2"]
program = "train.py"
metric = "val/loss"
goal = "minimize"
ranges.layers = "int:1-4"
baseline = { lr = 1e-3, layers = 2 }
"""


def test_a_whole_file_is_read_and_what_it_leaves_out_stays_open() -> None:
    file = parse_settings(WHOLE, Path("/home/me/multistage.toml"))
    assert file.list_given() == {
        "budget": 300,
        "split": "40/40/20",
        "train_arg": ("total_steps=2000", "fast=true", "name=x"),
        "workers": 4,
        "runs_dir": Path("/home/me/sweeps"),
        "modal": {"cpu": 4.0, "gpu": "T4"},
    }
    assert file.ranges == {"lr": "log:1e-5-1e-2", "act": "[relu|tanh]"}
    own = file.configs["my-model:v2"]
    assert own.list_given() == {
        "program": "/home/me/train.py",
        "metric": "val/loss",
        "goal": "minimize",
        "baseline": ("lr=0.001", "layers=2"),
    }
    assert own.ranges == {"layers": "int:1-4"}


def test_an_empty_file_asks_for_nothing() -> None:
    assert parse_settings("", Path("m.toml")) == build_settings(GROUPS)()
    assert build_settings(GROUPS)().list_given() == {}


def test_it_takes_all_that_the_command_line_takes() -> None:
    flags = {option.key for option in list_all() if option.option.flag}
    taken = set(build_settings(GROUPS).model_fields) | {
        f"{launcher}.{name}"
        for launcher, own in (("modal", Resources), ("slurm", JobResources), ("ssh", HostOptions))
        for name in own.model_fields
    }
    # These belong to one sweep.
    assert flags - taken == {"name", "settings", "sweep_file"}


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("budgt = 3", "m.toml has an unknown key 'budgt'", "Did you mean budget?"),
        ("[modal]\ncpus = 3", "unknown key 'modal.cpus'", "Did you mean cpu?"),
        ("[configs.x]\nprogam = 'x'", "unknown key 'configs.x.progam'", "Did you mean program?"),
        ("[configs.x]\nconfigs = 3", "unknown key 'configs.x.configs'", "Did you mean"),
        ("qqqqqqqq = 3", "unknown key 'qqqqqqqq'", "Known are"),
        ("budget = 'x'", "budget cannot be 'x'", "settings --schema"),
        (
            "grid_resolution = 1",
            "m.toml: grid_resolution cannot be 1: it takes a whole number from 2 to 100",
            "settings --schema",
        ),
        ("modal.gpu = 'XT'", "modal.gpu cannot be 'XT': 'XT' is not one of Modal's GPUs", "settings --schema"),
        ("configs = 3", "configs cannot be 3", "settings --schema"),
        ("configs.x = 3", "configs.x cannot be 3", "settings --schema"),
        ("ranges = 3", "m.toml: ranges cannot be 3: it takes a table.", "settings --schema"),
        ("ranges.lr = 1", "m.toml: ranges.lr cannot be 1: it takes a text, as in", "settings --schema"),
        ("[configs.x]\nranges.lr = 1", "configs.x.ranges.lr cannot be 1: it takes a text", "settings --schema"),
        ("ranges.lr = 'a'", "m.toml, ranges.lr: lr has 'a'", "name:min-max"),
        ("ranges.lr = '0-1,b:0-1'", "ranges.lr: '0-1,b:0-1' is more than one", "line of its own"),
        ("[configs.x]\nranges.lr = '2-1'", "ranges.lr: lr has its minimum 2", "smaller bound first"),
        ("budget = ", "m.toml is not valid TOML", "toml.io"),
        ("budget = " + "[" * 5000, "m.toml is nested too deeply", "settings --schema"),
        ("budget" + ".a" * 5000 + " = 3", "m.toml is nested too deeply", "settings --schema"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(text: str, what: str, remedy: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_settings(text, Path("m.toml"))
    assert what in refused.value.message
    assert remedy in refused.value.hint


def test_a_file_may_begin_with_the_mark_that_windows_writes() -> None:
    assert parse_settings("\ufeffbudget = 30", Path("m.toml")).list_given() == {"budget": 30}


def test_editors_get_a_schema_that_takes_what_is_taken_and_refuses_what_is_refused() -> None:
    schema = build_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(tomllib.loads(WHOLE), schema)
    for mistake in ("budgt = 3", "budget = 'x'", "goal = 'up'", "configs.x.configs = 3", "modal.cpus = 3"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(tomllib.loads(mistake), schema)
    assert "null" not in str(schema)
    assert all(field.get("description") for field in schema["properties"].values())
