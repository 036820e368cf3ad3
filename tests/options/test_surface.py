"""What could be asked for before the options were declared once still can be, under the same names."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.options.surface import read_surface

BEFORE: dict[str, Any] = json.loads(Path(__file__).with_name("surface.json").read_text())
"""As `read_surface` read it off the commit before."""
SINCE = {"hosts", "launcher_options", "notify", "prior", "resumable", "server_host", "slurm", "ssh"}
"""What has come since, by its name or the table that it stands in."""
ENDED = {"approve_timeout", "gpus_per_run", "max_cost", "stage_deadline", "stall_after", "worker_idle"}
"""Amounts that have an end since."""
OPENED = {"launcher", "search"}
"""What takes any name since other packages may bring some; each is checked when the sweep is resolved."""


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    return read_surface()


def check_opened(schemas: dict[str, Any]) -> None:
    """Check that a form, or the file, takes a text for what has been opened, and whatever it took before."""
    for name in OPENED & set(schemas):
        assert schemas[name]["type"] == "string"
        offered = schemas[name].get("enum")
        assert offered is None or {"local", "modal"} <= set(offered) or {"auto", "gp", "wandb"} <= set(offered)


def forget_ends(schemas: dict[str, Any]) -> None:
    """Leave out the ends that amounts have got."""
    for name in ENDED & set(schemas):
        schemas[name].pop("maximum")


@pytest.mark.parametrize("command", BEFORE["flags"])
def test_every_flag_has_its_names_and_takes_what_it_took(now: dict[str, Any], command: str) -> None:
    before, after = BEFORE["flags"][command], now["flags"][command]
    opened = {f"--{name}" for name in OPENED} & set(before)
    assert {name: after.pop(name)[-1] for name in opened} == dict.fromkeys(opened, "str")
    since = {name for name in after if name.removeprefix("--").replace("-", "_").startswith(tuple(SINCE))}
    assert {name: words for name, words in after.items() if name not in since} == {
        name: words for name, words in before.items() if name not in opened
    }


@pytest.mark.parametrize("flow", BEFORE["flows"])
def test_every_parameter_of_a_flow_takes_what_it_took(now: dict[str, Any], flow: str) -> None:
    before, after = BEFORE["flows"][flow], now["flows"][flow]
    assert set(after) - set(before) == SINCE - ({"prior"} if flow == "single-sweep" else set())
    # What lay beyond these bounds was refused a moment later, or broke the sweep.
    after["workers"].pop("maximum")
    forget_ends(after)
    check_opened(after)
    assert {name: after[name] for name in before if name not in OPENED} == {
        name: schema for name, schema in before.items() if name not in OPENED
    }


def test_every_key_of_the_file_takes_what_it_took(now: dict[str, Any]) -> None:
    now["file"]["budget"].pop("minimum")
    forget_ends(now["file"])
    check_opened(now["file"])
    came = set(now["file"]) - set(BEFORE["file"])
    assert came == SINCE - {"launcher_options"}
    assert set(now["file"].pop("configs")) - came == set(BEFORE["file"]["configs"])
    left = {*OPENED, *came, "configs"}
    assert {name: schema for name, schema in now["file"].items() if name not in left} == {
        name: schema for name, schema in BEFORE["file"].items() if name not in left
    }


def test_every_variable_is_read(now: dict[str, Any]) -> None:
    came = tuple(f"MULTISTAGE_{name.upper()}" for name in SINCE)
    assert [name for name in now["variables"] if not name.startswith(came)] == BEFORE["variables"]
