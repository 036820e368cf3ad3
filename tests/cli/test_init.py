"""The prompt of `init`, the file that it writes, and what it refuses before anything is started."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from multistage.cli import main
from multistage.cli.init import _edit, _write
from multistage.domain.proposal.calling import Calling, Invocation
from multistage.domain.proposal.draft import Proposal, Sighting, draft_proposal
from multistage.errors import UsageError
from multistage.introduction.settings_target import SettingsTarget
from multistage.request.sources.precedence import gather_parameters
from multistage.request.sources.settings_file import parse_settings


@pytest.fixture
def proposal(workplace: Path) -> Proposal:
    (workplace / "train.py").touch()
    calling = Calling(style="hyphens", usual={"learning_rate": 0.1, "n_steps": 9})
    sighting = Sighting(rows=({"score": 1.0},), seconds=3, whole=True)
    return draft_proposal("folder:train", Invocation(program="train.py"), calling, sighting, workers=2)


def edit(proposal: Proposal, typed: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Proposal | None, str]:
    console = Console(file=io.StringIO(), width=150)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    edited = _edit(proposal, SettingsTarget(Path("multistage.toml")), console)
    return edited, console.file.getvalue()  # type: ignore[attr-defined]


def test_enter_agrees_to_what_is_proposed(proposal: Proposal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert edit(proposal, "\n", monkeypatch)[0] == proposal


def test_changes_are_taken_until_enter(proposal: Proposal, monkeypatch: pytest.MonkeyPatch) -> None:
    edited, shown = edit(proposal, "?\nnonsense\n-n_steps\nmetric loss\n\n", monkeypatch)
    assert edited is not None
    assert ([one.name for one in edited.swept], edited.metric, edited.goal) == (["learning_rate"], "loss", "minimize")
    assert "'nonsense' is not a change" in shown
    assert "`goal minimize`" in shown


def test_a_change_whose_sweep_would_be_refused_is_not_taken(
    proposal: Proposal, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "multistage.toml").write_text("train_arg = { rng = 1 }\n")
    edited, shown = edit(proposal, "seed rng\nmetric loss\n\n", monkeypatch)
    assert edited is not None
    assert (edited.seed_param, edited.metric) == (None, "loss")
    assert "rng, which is swept or fixed" in shown


def test_nothing_is_agreed_to_while_its_sweep_would_be_refused(
    proposal: Proposal, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "multistage.toml").write_text("train_arg = { n_steps = 1 }\n")
    edited, shown = edit(proposal, "\nmetric loss\n\n-n_steps\n\n", monkeypatch)
    assert edited is not None
    assert (edited.metric, [one.name for one in edited.swept]) == ("loss", ["learning_rate"])
    assert shown.count("swept and fixed") == 3


@pytest.mark.parametrize("typed", ["q\n", ""])
def test_it_can_be_given_up(typed: str, proposal: Proposal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert edit(proposal, typed, monkeypatch)[0] is None


def test_the_file_is_what_a_sweep_reads(proposal: Proposal, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_ENTITY", "WANDB_PROJECT"):  # the client sets them where an earlier test made a sweep
        monkeypatch.delenv(name, raising=False)
    assert _write(proposal, SettingsTarget(workplace / "multistage.toml"), Console(), force=False) == 0
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
        _write(proposal, SettingsTarget(path), Console(), force=False)
    assert refused.value.exit_code == 2
    assert path.read_text() == "budget = 77\n"
    assert '+metric = "score"' in capsys.readouterr().out
    assert _write(proposal, SettingsTarget(path), Console(), force=True) == 0
    settings = parse_settings(path.read_text(), path).list_given()
    assert settings == {"budget": 77}
    assert _write(proposal, SettingsTarget(path), Console(), force=False) == 0


def test_a_file_elsewhere_has_whole_paths(proposal: Proposal, workplace: Path) -> None:
    (workplace / "the re").mkdir()
    console = Console(file=io.StringIO())
    odd = proposal.model_copy(update={"config_id": "my [id]"})
    _write(odd, SettingsTarget(workplace / "the re" / "mine.toml"), console, force=False)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"To sweep: multistage-sweep 'my [id]' --settings '{workplace / 'the re' / 'mine.toml'}'\n" in told
    assert f'program = "{workplace / "train.py"}"' in (workplace / "the re" / "mine.toml").read_text()


def test_only_the_section_of_a_file_changes(proposal: Proposal, workplace: Path) -> None:
    kept, link = workplace / "kept.toml", workplace / "multistage.toml"
    kept.write_bytes("\ufeff# mine\r\nbudget = 77\r\n".encode())
    kept.chmod(0o640)
    link.symlink_to("kept.toml")
    assert _write(proposal, SettingsTarget(link), Console(), force=True) == 0
    assert (link.is_symlink(), kept.stat().st_mode & 0o777) == (True, 0o640)
    written = kept.read_bytes()
    assert written.startswith("\ufeff# mine\r\nbudget = 77\r\n".encode())
    assert written.count(b"\n") == written.count(b"\r\n")
    assert _write(proposal, SettingsTarget(link), Console(), force=False) == 0
    assert kept.read_bytes() == written


def test_a_new_file_is_as_readable_as_others(proposal: Proposal, workplace: Path) -> None:
    before = os.umask(0o027)
    try:
        _write(proposal, SettingsTarget(workplace / "multistage.toml"), Console(), force=False)
    finally:
        os.umask(before)
    assert (workplace / "multistage.toml").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("named", "content", "told"),
    [
        ("nowhere/x.toml", None, "there is no folder"),
        (".", None, "is a folder"),
        ("", None, "it takes a path"),
        ("/dev/null", None, "is no regular file"),
        ("mine.toml", b"a = '\xff'", "it is not UTF-8"),
        ("mine.toml", b"a = ", "is not valid TOML"),
        ("mine.toml", b"bugdet = 3", "Did you mean budget"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_the_script_runs(
    named: str, content: bytes | None, told: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "train.py").write_text("raise SystemExit('it ran')")
    if content is not None:
        (workplace / named).write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        main(["init", "--yes", "--force", "--settings", named, "train.py"])
    assert ended.value.code == 2
    assert told in " ".join(capsys.readouterr().err.split())
    if content is not None:
        assert (workplace / named).read_bytes() == content


def test_a_folder_or_a_file_that_is_closed_is_told_at_once(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workplace / "mine.toml"
    path.write_text("")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("tempfile.TemporaryFile", refuse)
        with pytest.raises(UsageError, match="cannot be written: Permission denied"):
            SettingsTarget(path).check()
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UsageError, match="its mode forbids it"):
        SettingsTarget(path).check()


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


SCRIPT = (
    "import argparse, wandb\n"
    "parser = argparse.ArgumentParser()\n"
    "parser.add_argument('--learning-rate', type=float, default=0.1)\n"
    "parser.add_argument('--n-steps', type=int, default=9)\n"
    "parser.parse_args()\n"
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["usual learning_rate abc"], "`usual learning_rate abc` gives learning_rate a value that is not a number"),
        (["usual n_steps 2.5"], "`usual n_steps 2.5` gives n_steps a value that is not a whole number"),
        (["n_steps [8|16]", "usual n_steps 9"], "not one of its choices: 8, 16"),
        (["seed n_steps"], "n_steps cannot be swept and give each run its own seed"),
        (["-n_steps", "seed n_steps", "+n_steps"], "n_steps cannot be swept and give each run its own seed"),
        (["seed a b"], "`seed a b` is not a name"),
        (["workers 1001"], "`workers 1001` is not a whole number from 1 to 1000"),
    ],
)
def test_changes_by_which_no_sweep_begins_are_refused_in_their_own_words(
    changes: list[str], told: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "train.py").write_text(SCRIPT)
    with pytest.raises(SystemExit) as ended:
        main(["init", "--yes", "--no-run", *(word for change in changes for word in ("--change", change)), "train.py"])
    assert ended.value.code == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (workplace / "multistage.toml").exists()


def test_a_usual_value_that_is_no_choice_is_left_out(workplace: Path) -> None:
    (workplace / "train.py").write_text(SCRIPT)
    changes = ("--change", "learning_rate [1e-4|3e-4]", "--change", "metric score")
    with pytest.raises(SystemExit) as ended:
        main(["init", "--yes", "--no-run", "--id", "my:v1", *changes, "train.py"])
    assert ended.value.code == 0
    own = parse_settings((workplace / "multistage.toml").read_text(), workplace / "multistage.toml").configs["my:v1"]
    assert "baseline" not in own.list_given()


def test_a_sweep_that_the_rest_of_the_file_forbids_is_not_written(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "train.py").write_text(SCRIPT)
    (workplace / "multistage.toml").write_text('split = "1/2"\n')
    with pytest.raises(SystemExit) as ended:
        main(["init", "--yes", "--force", "--no-run", "train.py"])
    assert ended.value.code == 2
    assert "1/2" in capsys.readouterr().err
    assert (workplace / "multistage.toml").read_text() == 'split = "1/2"\n'


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
