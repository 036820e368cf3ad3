"""The prompt of `init`, the file that it writes, and what it refuses before anything is started."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from multistage.cli import main
from multistage.cli.init import _edit, _write
from multistage.domain.proposal.calling import Calling, Invocation
from multistage.domain.proposal.draft import Proposal, Sighting, draft_proposal
from multistage.errors import UsageError
from multistage.request.sources.precedence import gather_parameters
from multistage.request.sources.settings_file import parse_settings


@pytest.fixture
def proposal() -> Proposal:
    calling = Calling(style="hyphens", usual={"learning_rate": 0.1, "n_steps": 9})
    sighting = Sighting(rows=({"score": 1.0},), seconds=3, whole=True)
    return draft_proposal("folder:train", Invocation(program="train.py"), calling, sighting, workers=2)


def edit(proposal: Proposal, typed: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Proposal | None, str]:
    console = Console(file=io.StringIO(), width=150)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    edited = _edit(proposal, console)
    return edited, console.file.getvalue()  # type: ignore[attr-defined]


def test_enter_agrees_to_what_is_proposed(proposal: Proposal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert edit(proposal, "\n", monkeypatch)[0] == proposal


def test_changes_are_taken_until_enter(proposal: Proposal, monkeypatch: pytest.MonkeyPatch) -> None:
    edited, shown = edit(proposal, "?\nnonsense\n-n_steps\nmetric loss\n\n", monkeypatch)
    assert edited is not None
    assert ([one.name for one in edited.swept], edited.metric, edited.goal) == (["learning_rate"], "loss", "minimize")
    assert "'nonsense' is not a change" in shown
    assert "`goal minimize`" in shown


@pytest.mark.parametrize("typed", ["q\n", ""])
def test_it_can_be_given_up(typed: str, proposal: Proposal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert edit(proposal, typed, monkeypatch)[0] is None


def test_the_file_is_what_a_sweep_reads(proposal: Proposal, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_ENTITY", "WANDB_PROJECT"):  # the client sets them where an earlier test made a sweep
        monkeypatch.delenv(name, raising=False)
    assert _write(proposal, workplace / "multistage.toml", Console(), force=False) == 0
    gathered = gather_parameters({"config_id": "folder:train"}, workplace)
    assert gathered.parameters == {
        "config_id": "folder:train",
        "program": str(workplace / "train.py"),
        "style": "hyphens",
        "metric": "score",
        "goal": "maximize",
        "params": "learning_rate:float:log:0.01-1.0,n_steps:int:linear:1-18",
        "baseline": ("learning_rate=0.1", "n_steps=9"),
        "workers": 2,
        "budget": 300,
    }


def test_a_file_that_is_there_is_shown_its_changes_and_left_alone(
    proposal: Proposal, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = workplace / "multistage.toml"
    path.write_text("budget = 77\n")
    with pytest.raises(UsageError, match="was not changed") as refused:
        _write(proposal, path, Console(), force=False)
    assert refused.value.exit_code == 2
    assert path.read_text() == "budget = 77\n"
    assert '+metric = "score"' in capsys.readouterr().out
    assert _write(proposal, path, Console(), force=True) == 0
    settings = parse_settings(path.read_text(), path).list_given()
    assert settings == {"budget": 77}
    assert _write(proposal, path, Console(), force=False) == 0


def test_a_file_elsewhere_has_whole_paths(proposal: Proposal, workplace: Path) -> None:
    (workplace / "there").mkdir()
    _write(proposal, workplace / "there" / "mine.toml", Console(), force=False)
    assert f'program = "{workplace / "train.py"}"' in (workplace / "there" / "mine.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.py"], "does not exist"),
        ([], "No script was named"),
        (["--whole", "--no-run", "x.py"], "exclude each other"),
        (["--init-timeout", "0", "x.py"], "--init-timeout"),
        (["--style", "hyphen", "x.py"], "Did you mean hyphens"),
        (["--from-run", "x", "y.py"], "does not name a run"),
    ],
)
def test_misuse_starts_nothing(
    arguments: list[str], told: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["init", "--yes", *arguments])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
    assert not (workplace / "multistage.toml").exists()


def test_without_a_run_its_help_and_text_are_read(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "train.py").write_text(
        "import argparse, wandb\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--learning-rate', type=float, default=0.1)\n"
        "parser.add_argument('--seed', type=int, default=1)\n"
        "parser.add_argument('--n-steps', type=int, default=9)\n"
        "parser.parse_args()\n"
        "wandb.log({'val/loss': 1})\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(
            ["init", "--yes", "--no-run", "--id", "my:v1", "--change", "budget 20", "--change", "-n_steps", "train.py"]
        )
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "metric, pace and memory are not known. Its source logs val/loss." in " ".join(shown.split())
    assert "multistage-sweep my:v1 --metric KEY" in shown
    own = parse_settings((workplace / "multistage.toml").read_text(), workplace / "multistage.toml").configs["my:v1"]
    given = own.list_given()
    assert (given["style"], given["params"], given["seed_param"], given["budget"]) == (
        "hyphens", "learning_rate", "seed", 20,
    )  # fmt: skip
    assert "metric" not in given
