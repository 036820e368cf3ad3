"""A script of the user's own is optimized by what its user says, and by nothing that is guessed."""

import copy
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from multistage.cli import main
from multistage.domain.runs.slots import RunRecord, SlotName
from multistage.domain.sweep.plan import SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.errors import MetricUnnamedError
from multistage.request.resolution import resolve_request
from multistage.request.resolved_sweep import resolve_sweep
from multistage.request.resumption import complete_parameters
from multistage.store.sweep_folder import SweepFolder
from multistage.wandb_client.run_archive import RunArchive
from tests.states import BEGAN, make_settings, make_state

FILE = {"method": "random", "program": "train.py", "parameters": {"x": {"min": 0.0, "max": 1.0}}}
TYPED = ("my:own", "--program", "train.py", "--params", "x:0-1,act:[relu|tanh]", "--budget", "20")


@pytest.fixture(autouse=True)
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with a script and nothing configured."""
    monkeypatch.setenv("HOME", str(workplace / "home"))
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "services"))
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_PROJECT", "MULTISTAGE_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    (workplace / "train.py").touch()
    return workplace


def resolve(place: Path, **changes: Any) -> SweepSettings:
    asked = {"config_id": "my:own", "budget": 20} | changes
    if "sweep_file" not in asked:
        asked |= {"params": "x:0-1"}
    return resolve_request(SweepRequest.model_validate(asked), place, runs_dir=place / "runs").plan.settings


def leave_sweep(place: Path, name: str, keys: tuple[str, ...], days: int = 0, **settings: Any) -> SweepFolder:
    """Leave behind the folder of a sweep whose one run has logged some keys."""
    folder = SweepFolder(place / "runs" / name)
    known = make_settings(**{"program": str(place / "train.py"), "metric": "wrong"} | settings)
    folder.write_state(make_state(name=name, settings=known, updated_at=BEGAN + timedelta(days=days)))
    run = RunRecord(run_id="r", name=SlotName(stage=1, index=0), phase="finished", config={"x": 0.5}, logged=keys)
    RunArchive(folder.locate_archive("sweep")).add([run], "2026-01-01T00:00:00Z")
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"program": "train.py"},
        {"program": "train.py", "goal": "minimize"},
        {"program": "train.py", "style": "hydra"},
        {"command": "python train.py ${args}"},
        {"sweep_file": FILE},
        {"sweep_file": FILE, "single": True},
        {"sweep_file": FILE | {"command": ["python", "train.py", "${args}"]}},
        {"config_id": "digits:mlp", "program": "train.py"},
    ],
    ids=str,
)
def test_no_metric_is_guessed(place: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(MetricUnnamedError, match=r"No --metric says .* none is guessed") as asked:
        resolve(place, **changes)
    assert asked.value.flags == "--metric KEY"
    assert ("--goal" in asked.value.hint) == ("goal" not in changes)
    metric = resolve(place, **changes, metric="score")
    assert (metric.metric, metric.goal) == ("score", changes.get("goal", "maximize"))


def test_the_guides_way_has_the_guides_metric(place: Path) -> None:
    line = "${env} ${interpreter} ${program} --config_id ${config_id} --wandb_sweep"
    words = line.replace("${config_id}", "CartPole-v1:ppo").split()
    for changes in (
        {"program": "train.py", "style": "guide"},
        {"program": "train.py", "command": line},
        {"sweep_file": FILE | {"command": words}, "config_id": "CartPole-v1:ppo"},
    ):
        assert resolve(place, **changes).metric == "train/roll/ep_rew/mean"
        assert resolve(place, **changes, metric="score").metric == "score"


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (TYPED, "--metric KEY"),
        (("plan", *TYPED), "--metric KEY"),
        (("run", "--sweep-file", "sweep.yaml", "--budget", "20"), "--metric KEY"),
        (("single", "sweep.yaml", "--count", "2"), "--metric KEY"),
    ],
    ids=("sweep", "plan", "sweep file", "single"),
)
def test_the_command_line_asks_and_starts_nothing(
    arguments: tuple[str, ...], flags: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "sweep.yaml").write_text("method: random\nprogram: train.py\nparameters: {x: {min: 0.0, max: 1.0}}\n")
    before = sorted(place.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert (ended.value.code, captured.out) == (2, "")
    assert "which of the keys that train.py logs is optimized" in line
    assert f": multistage-sweep {arguments[0]} " in line
    assert line.endswith(f" {flags}")
    assert sorted(place.rglob("*")) == before


def test_what_was_logged_before_is_named_with_the_command_to_type(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_sweep(place, "old", ("accuracy",), days=1)
    leave_sweep(place, "other script", ("score",), days=3, program=str(place / "other.py"))
    latest = leave_sweep(place, "new", ("epoch", "train/loss", "val loss"), days=2)
    leave_sweep(place, "nothing logged", (), days=4)
    SweepFolder(place / "runs" / "damaged").path.mkdir()
    (place / "runs" / "damaged" / "state.json").write_text("{")
    with latest.list_archives()[0].open("a") as archive:
        archive.write('{"cursor": "2026-01')  # as a process leaves it that is killed, or is writing right now
    before = latest.list_archives()[0].read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(TYPED)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert "in the sweep new train.py logged epoch, train/loss, val loss." in line
    typed = "multistage-sweep my:own --program train.py --params 'x:0-1,act:[relu|tanh]' --budget 20"
    assert line.endswith(f"Name one of them: {typed} --metric train/loss --goal minimize")
    assert latest.list_archives()[0].read_bytes() == before


def test_what_an_earlier_sweep_optimized_is_proposed_first(place: Path) -> None:
    leave_sweep(place, "old", ("accuracy", "elapsed"), metric="elapsed", goal="minimize")
    with pytest.raises(MetricUnnamedError) as asked:
        resolve(place, program="train.py")
    assert asked.value.flags == "--metric elapsed --goal minimize"
    assert str(asked.value).endswith("Name one of them: --metric elapsed --goal minimize")
    assert str(copy.copy(asked.value)) == str(asked.value)
    with pytest.raises(MetricUnnamedError) as asked:
        resolve(place, program="train.py", goal="maximize")
    assert asked.value.flags == "--metric elapsed"


def test_a_flow_run_of_a_deployment_fails_with_the_same_sentence(place: Path) -> None:
    leave_sweep(place, "old", ("accuracy",))
    before = sorted(place.rglob("*"))
    given = {"config_id": "my:own", "program": "train.py", "params": "x:0-1", "budget": 20, "name": "nightly"}
    sentence = r"logged accuracy\. Name one of them: --metric accuracy"
    gathered = complete_parameters({**given, "tracker": "embedded"}, Path.cwd())
    with pytest.raises(MetricUnnamedError, match=sentence):
        resolve_sweep(gathered, Path.cwd(), dict(os.environ))
    assert sorted(place.rglob("*")) == before


def test_a_command_without_a_program_is_known_by_its_words(place: Path) -> None:
    leave_sweep(place, "old", ("accuracy",), program=None, command=("python", "train.py", "${args}"))
    with pytest.raises(MetricUnnamedError, match="the script logged accuracy"):
        resolve(place, command="python train.py ${args}")
    with pytest.raises(MetricUnnamedError, match="none is guessed"):
        resolve(place, command="python other.py ${args}")
