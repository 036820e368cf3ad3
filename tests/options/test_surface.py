"""What could be asked for before the options were declared once still can be, under the same names."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.options.surface import read_surface

BEFORE: dict[str, Any] = json.loads(Path(__file__).with_name("surface.json").read_text())
"""As `read_surface` read it off the commit before."""
SINCE = {"launcher_options"}
"""What has come since."""


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    return read_surface()


@pytest.mark.parametrize("command", BEFORE["flags"])
def test_every_flag_has_its_names_and_takes_what_it_took(now: dict[str, Any], command: str) -> None:
    assert now["flags"][command] == BEFORE["flags"][command]


@pytest.mark.parametrize("flow", BEFORE["flows"])
def test_every_parameter_of_a_flow_takes_what_it_took(now: dict[str, Any], flow: str) -> None:
    before, after = BEFORE["flows"][flow], now["flows"][flow]
    assert set(after) - set(before) == SINCE
    # Two bounds came in: what lay beyond them was refused a moment later.
    after["workers"].pop("maximum")
    assert {name: after[name] for name in before} == before


def test_every_key_of_the_file_takes_what_it_took(now: dict[str, Any]) -> None:
    now["file"]["budget"].pop("minimum")
    assert now["file"] == BEFORE["file"]


def test_every_variable_is_read(now: dict[str, Any]) -> None:
    assert now["variables"] == BEFORE["variables"]
