"""A W&B sweep that is there already: what its own words overrule is said, what contradicts them refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from multistage.cli import main
from multistage.errors import UsageError
from multistage.request.adoption import adopt_sweep
from multistage.request.asked_sweep import read_parameters
from multistage.request.resolution import resolve_request
from multistage.request.sources.precedence import GatheredParameters, gather_parameters
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.sweep_calls import create_sweep
from tests.server_process import ServerProcess

FILE: dict[str, Any] = {
    "method": "random",
    "metric": {"name": "loss", "goal": "minimize"},
    "program": "train.py",
    "parameters": {"x": {"min": 0.0, "max": 1.0}},
}
LEFT_OUT = "The sweep is run as its own file says, so these settings are ignored: {}."
SETTINGS = """
project = "other"
workers = 2
metric = "accuracy"
goal = "minimize"
program = "train.py"
style = "hydra"
split = "40/40/20"
train_arg = { epochs = 3 }
"""


@pytest.fixture(autouse=True)
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with a settings file."""
    monkeypatch.setenv("HOME", str(workplace / "home"))
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "services"))
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_PROJECT", "MULTISTAGE_SETTINGS"):
        monkeypatch.setenv(name, "")  # restored after the test, also where the client sets it
        monkeypatch.delenv(name)
    (workplace / "multistage.toml").write_text(SETTINGS)
    return workplace


@pytest.fixture
def sweep_id(wandb_server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A sweep of the project `other`, whose server the client is logged in to."""
    monkeypatch.setenv("WANDB_BASE_URL", wandb_server.url)
    monkeypatch.setenv("WANDB_API_KEY", wandb_server.key)
    made = create_sweep(Connection(wandb_server.url, wandb_server.key, "local", "other"), FILE)
    for name in ("WANDB_ENTITY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)  # the client's own trace
    yield made
    wandb.teardown()


def gather(place: Path, **given: Any) -> GatheredParameters:
    return gather_parameters({"config_id": "my:own", "single": True, "count": 3} | given, place)


@pytest.mark.parametrize(
    ("sweep_id", "options", "words"),
    [
        ("team/there/abc", ("--project", "other"), "--sweep-id names the project there, and --project other."),
        ("there/abc", ("--project", "other"), "--sweep-id names the project there, and --project other."),
        ("team/there/abc", ("--entity", "me"), "--sweep-id names the entity team, and --entity me."),
    ],
)
def test_an_id_and_an_option_that_name_two_places_are_refused(
    sweep_id: str, options: tuple[str, ...], words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(("single", "--sweep-id", sweep_id, "--count", "3", *options))
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    assert captured.err == f"multistage-sweep: {words} Leave one of them out.\n"
    assert [path.name for path in place.iterdir()] == ["multistage.toml"]


def test_settings_that_a_sweeps_own_words_overrule_are_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTISTAGE_PARAMS", "y:0-1")
    found = gather(place, sweep_id="team/there/abc", entity="team", project="there", sweep_file=FILE)
    left = "project other (multistage.toml), params y:0-1 (environment), metric accuracy (multistage.toml)"
    assert found.notes == (LEFT_OUT.format(f"{left}, train_arg epochs=3 (multistage.toml)"),)
    assert {"params", "metric", "goal", "program", "train_arg"} & set(found.parameters) == set()
    assert (found.parameters["workers"], found.parameters["style"]) == (2, "hydra"), "what the sweep leaves open"
    monkeypatch.delenv("MULTISTAGE_PARAMS")
    told = gather(place, sweep_id="abc", project="there", sweep_file=FILE, metric="accuracy").notes
    assert told == (LEFT_OUT.format("train_arg epochs=3 (multistage.toml)"),)
    (place / "multistage.toml").unlink()
    assert gather(place, sweep_id="team/there/abc", entity="team", project="there", sweep_file=FILE).notes == ()


def test_three_stages_over_a_file_tell_it_too(place: Path) -> None:
    found = gather_parameters({"config_id": "my:own", "sweep_file": FILE}, place)
    assert found.notes == (LEFT_OUT.format("metric accuracy (multistage.toml)"),)
    assert found.parameters["train_arg"] == ("epochs=3",)


def test_a_sweep_is_looked_for_where_the_settings_say(place: Path, sweep_id: str) -> None:
    adoption = adopt_sweep({"sweep_id": sweep_id, "single": True}, place)
    assert adoption is not None
    found = adoption.parameters
    assert (found["entity"], found["project"], found["adopted"].sweep_id) == ("local", "other", sweep_id)
    (place / "multistage.toml").write_text('tracker = "wandb"')
    with pytest.raises(UsageError, match="project of the sweep"):
        adopt_sweep({"sweep_id": sweep_id, "single": True}, place)


def test_the_metric_of_a_sweep_that_is_there_stays_its_own(place: Path, sweep_id: str) -> None:
    def tell(**given: Any) -> tuple[str, ...]:
        found = adopt_sweep({"config_id": "my:own", "sweep_id": sweep_id, "single": True, "budget": 3, **given}, place)
        assert found is not None
        asked = read_parameters(gather_parameters(found.parameters, place).parameters, place)
        return resolve_request(asked.request, place, lambda: found.account).warnings

    (place / "train.py").touch()
    assert tell() == tell(metric="loss") == ()
    (told,) = tell(metric="accuracy", goal="maximize")
    assert told.startswith(f"The sweep {sweep_id} keeps its own metric, loss (minimize);")
    assert "accuracy (maximize) only says which of its runs are best here." in told
