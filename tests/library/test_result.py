"""A result shows itself in a notebook, without network and without markup from others' names."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from multistage.library.result import Result
from multistage.report.export import RunRow
from multistage.store.sweep_folder import SweepFolder
from tests.states import make_state


def make_row(slot: int, value: float | None, state: str = "finished") -> RunRow:
    return RunRow(
        stage=1, slot=slot, run_id=f"run{slot}", state=state, value=value, config={"lr": 0.01}, seed=None,
        finalist=False, attempts=1, began_at=None, seconds=1.0, worker=None, error="",
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    found = SweepFolder(tmp_path / "runs" / "mine")
    state = make_state(1)
    found.write_state(state.model_copy(update={"name": "<b>mine</b>"}))
    return found


def show(folder: SweepFolder, *rows: RunRow) -> str:
    result = Result(folder.path)
    result.rows = rows
    return result._repr_html_()


def test_a_notebook_shows_the_configs_and_what_the_runs_reached(folder: SweepFolder) -> None:
    rows = [make_row(0, 1.0), make_row(1, 3.0), make_row(2, None, "failed"), make_row(3, None, "queued")]
    shown = ElementTree.fromstring(show(folder, *rows))  # noqa: S314 - of our own making
    svg = "{http://www.w3.org/2000/svg}"
    assert len([one for one in shown.iter(f"{svg}circle") if one.get("r") == "3"]) == 2, "a dot for each value"
    assert [one.text for one in shown.iter("b")] == ["<b>mine</b>"]
    assert "Best run" in [one.text for one in shown.iter("th")]
    assert "http" not in ElementTree.tostring(shown, "unicode").replace("http://www.w3.org/2000/svg", "")


def test_without_values_there_is_no_picture(folder: SweepFolder) -> None:
    assert "<svg" not in show(folder, make_row(0, None, "queued"))
