"""Misuse: exit code 2, one line that says what and how to fix it, nothing started and nothing written."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from multistage.cli import main
from multistage.cli.terminal_warnings import show_advice
from multistage.options.catalogue import OPTIONS
from multistage.store.sweep_folder import SweepFolder
from tests.states import make_state

RUN = ("digits:mlp", "--budget", "20", "--params")
LR = (*RUN, "learning_rate")
OWN = ("my:own", "--command", "python train.py", "--params", "x:0-1", "--budget", "20", "--metric", "score")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with nothing configured, in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MULTISTAGE_HOME", str(tmp_path / "services"))
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_PROJECT", "PREFECT_API_URL",
                 "MULTISTAGE_SETTINGS"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    return folder


def list_files(folder: Path) -> Mapping[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "what", "remedy"),
    [
        ((*RUN, "nope"), "nope has no range", "learning_rate, alpha"),
        (("staus",), "No bundled trainer has the config id 'staus'", "Did you mean `multistage-sweep status`?"),
        (("staus", "mine"), "Unused Tokens", "Did you mean `multistage-sweep status`?"),
        (("digit:mlp", "--params", "alpha"), "the config id 'digit:mlp'", "Did you mean digits:mlp? There are"),
        ((*LR, "--launcher", "slrum"), "no launcher 'slrum'", "Did you mean slurm? There are local"),
        ((*RUN, "alpha:lgo:0.1-1"), "the unknown word 'lgo'", "Did you mean log? Write `name`"),
        ((*RUN, "alpha:lgo"), "has 'lgo' where a range should be", "Did you mean log? Write `name`"),
        ((*RUN, "nope:0.1-1"), "no hyperparameter 'nope'", "It has "),
        ((*RUN, "learning_rat:0.1-1"), "no hyperparameter 'learning_rat'", "Did you mean learning_rate? It has "),
        ((*RUN, "nope:1-2"), "has no hyperparameter 'nope'", "hidden_size"),
        ((*RUN, "learning_rate:0.1-0.01"), "minimum 0.1 above its maximum 0.01", "smaller bound first"),
        ((*RUN, "learning_rate:log:0-0.01"), "minimum 0 is not above 0", "minimum above 0"),
        ((*RUN, "learning_rate:log:-1-1"), "minimum -1", "above 0"),
        ((*RUN, "batch_size:16-4096"), "refuses batch_size = 4096", "--params"),
        ((*RUN, "hidden_size:[8|x]"), "refuses hidden_size = 'x'", "--params"),
        ((*RUN, "learning_rate,learning_rate"), "named twice", "once"),
        (("digits:mlp", "--budget", "20"), "No --params", "--params policy_lr"),
        (("single", "--sweep-id", "", "--count", "3"), "Exactly one sweep is needed", "--sweep-id ID"),
        (
            ("digits:mlp", "--params", "learning_rate", "--budget", "9"),
            "--budget cannot be 9: it takes a whole number of 10",
            "--help",
        ),
        (("digits:mlp", "--params", "learning_rate", "--budget", "many"), "--budget cannot be 'many'", "--help"),
        ((*LR, "--split", "30/50/30"), "sums to 110", "30/50/20"),
        ((*LR, "--split", "50/50"), "not a split", "30/50/20"),
        ((*LR, "--stage1", "grid", "--grid-resolution", "50"), "grid of 50 points", "--grid-resolution"),
        ((*LR, "--stage1", "all"), "--stage1 cannot be 'all': it takes auto, grid or sobol", "--help"),
        ((*LR, "--grid-resolution", "1"), "--grid-resolution cannot be 1", "--help"),
        ((*LR, "--finalists", "100"), "100 finalist runs", "--split"),
        ((*LR, "--metric-value", "median"), "'median'", "mean:10"),
        ((*LR, "--workers", "0"), "--workers cannot be 0", "--help"),
        ((*LR, "--worker-idle", "0"), "--worker-idle cannot be 0", "--help"),
        ((*LR, "--seed", "-1"), "--seed cannot be -1", "--help"),
        ((*LR, "--train-arg", "epochs"), "not key=value", "--train-arg"),
        ((*LR, "--train-arg", "epochs=zero"), "refuses epochs", "--train-arg"),
        ((*LR, "--train-arg", "alpha=inf"), "refuses alpha", "--train-arg"),
        ((*LR, "--train-arg", "learning_rate=1"), "swept and fixed", "Take it out"),
        ((*LR, "--seed-param", "learning_rate"), "takes its seed as `seed`", "Leave --seed-param out"),
        ((*OWN, "--seed-param", "x"), "x, which is swept or fixed", "Leave one of the two out"),
        ((*OWN, "--baseline", "y=1"), "does not name x", "--baseline x="),
        ((*OWN, "--baseline", "x=inf"), "the value 'inf', which is not a number", "--baseline x=0.5"),
        ((*OWN[:-2], "--goal", "minimize"), "No --metric says which", "--goal minimize --metric KEY"),
        ((*LR, "--baseline", "rate=1"), "no hyperparameter 'rate'", "learning_rate"),
        ((*LR, "--name", "../elsewhere"), "'../elsewhere' is not a valid name", "--runs-dir"),
        ((*LR, "--name", ""), "'' is not a valid name", "--name"),
        ((*LR, "--nope"), "--nope", "--help"),
        (("nobody:knows", "--params", "x:0-1"), "'nobody:knows'", "digits:mlp"),
        (("my:own", "--params", "x:0-1", "--program", "nope.py"), "'nope.py' does not exist", "Name a file"),
        (("my:own", "--params", "x:0-1", "--command", "'python"), "cannot be split", "quotes"),
        (("my:own", "--params", "x:0-1", "--metric", "y", "--program", "pkg.nope"), "'pkg.nope' is not", "-m"),
        ((*OWN, "--style", "hydra"), "--style and --command both say", "one of the two"),
        (
            ("my:own", "--params", "x:0-1", "--program", __file__, "--style", "hydr"),
            "no style 'hydr'",
            "Did you mean hydra? There are argparse, flags",
        ),
        ((*LR, "--style", "hydra"), "digits:mlp is bundled, and takes no --style", "--program"),
        (("my:own", "--params", "x:0-1", "--command", ""), "--command is empty", "${program}"),
        ((*LR, "--tracker", "wandb"), "not logged in", "wandb login"),
        (("--resume", "nothing"), "'nothing'", "no sweep in runs"),
        (("resume", "nothing"), "'nothing'", "no sweep in runs"),
        (("status", "nothing"), "'nothing'", "no sweep in runs"),
        (("best", "nothing"), "'nothing'", "no sweep in runs"),
        (("train", "nothing"), "'nothing'", "no sweep in runs"),
        (("train", "nothing", "--runs", "0"), "--runs must be at least 1", "one run"),
        (("compare", "nothing"), "'nothing'", "no sweep in runs"),
        (("compare", "nothing", "--seeds", "1"), "--seeds must be at least 2", "5"),
        (("approve", "nothing"), "'nothing'", "no sweep in runs"),
        ((*LR, "--approve", "--approve-timeout", "0"), "--approve-timeout cannot be 0", "--help"),
        ((*LR, "--settings", "gone.toml"), "no settings file", "--settings"),
        (("plan", *RUN, "nope"), "nope has no range", "learning_rate"),
        (("deploy", *RUN, "nope"), "nope has no range", "learning_rate"),
        (("deploy", "--cron", "0 22 * * *"), "needs a config id", "CONFIG_ID"),
        (("deploy", *LR, "--cron", "at ten"), "'at ten' is not a cron expression", "0 22 * * *"),
        (("deploy", *LR, "--cron", "0 22 * * *", "--timezone", "Nowhere"), "time zone 'Nowhere'", "Europe/Berlin"),
        (("deploy", *LR, "--as", "every/night"), "'every/night' is not a valid name", "hyphens"),
        (("deploy", "--list", "--remove", "nightly"), "take no other option", "rest"),
        (("deploy", "--list"), "Prefect server is not running", "up --worker"),
        (("deploy", "--remove", "nightly"), "Prefect server is not running", "up --worker"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, tuple) else "",
)
def test_misuse_is_one_line_and_starts_nothing(
    arguments: tuple[str, ...], what: str, remedy: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("multistage-sweep: ")
    assert what in line
    assert remedy in line
    assert list_files(place.parent) == {}


@pytest.mark.parametrize("content", [b"{", b'{"schema_version": 9}', b"\xff"])
@pytest.mark.parametrize("arguments", [LR, ("--resume", "multistage_sweep_digits_mlp"), ("plan", *LR)])
def test_a_damaged_state_is_named_and_never_rewritten(
    arguments: tuple[str, ...], content: bytes, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = SweepFolder(place / "runs" / "multistage_sweep_digits_mlp")
    folder.path.mkdir(parents=True)
    folder.state_file.write_bytes(content)
    before = list_files(place.parent)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(folder.state_file) in line
    assert "left as it is" in line
    assert list_files(place.parent) == before


@pytest.mark.parametrize("arguments", [LR, ("up",), ("deploy", *LR), ("single", "file.yaml", "--count", "2")])
def test_a_broken_installation_is_told_before_anything_is_started(
    arguments: tuple[str, ...], place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file.yaml").write_text("method: random\nprogram: train.py\nparameters: {x: {min: 0.0, max: 1.0}}")
    before = list_files(place.parent)
    monkeypatch.setattr("multistage.installation.FLOWS", ("multistage.pipeline.flows.gone",))
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no module multistage.pipeline.flows.gone" in line
    assert "pip install --force-reinstall" in line
    assert list_files(place.parent) == before


def test_a_folder_with_another_sweep_offers_resume_and_name(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = SweepFolder(place / "runs" / "multistage_sweep_digits_mlp")
    folder.write_state(make_state(1))
    before = list_files(place.parent)
    with pytest.raises(SystemExit) as ended:
        main(LR)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "`multistage-sweep resume multistage_sweep_digits_mlp`" in line
    assert "--name" in line
    assert list_files(place.parent) == before


def test_what_looks_at_a_sweep_elsewhere_names_its_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = SweepFolder(place / "an other" / "g2")
    folder.write_state(make_state(1))
    with pytest.raises(SystemExit) as ended:
        main((*LR, "--runs-dir", "an other", "--name", "g2"))
    assert ended.value.code == 2
    assert f"`multistage-sweep status '{folder.path}'`" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(("approve", "g2", "--runs-dir", "an other"))
    assert f"`multistage-sweep status '{folder.path}'`" in capsys.readouterr().err


def test_a_resume_of_another_config_id_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    SweepFolder(place / "runs" / "mine").write_state(make_state(1))
    with pytest.raises(SystemExit) as ended:
        main(("CartPole-v1:ppo", "--resume", "mine"))
    assert ended.value.code == 2
    assert "holds a sweep of digits:mlp" in capsys.readouterr().err


def test_a_plan_prints_what_would_run_and_starts_nothing(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        main(("plan", "digits:mlp", "--params", "learning_rate,alpha", "--budget", "100"))
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for words in (
        "learning_rate",
        "val/accuracy",
        "100 runs",
        "grid+sobol, 25 grid points",
        "Warning: 100 runs",
        "a run takes 1 s",
    ):
        assert words in shown
    assert list_files(place.parent) == {}


def test_a_plan_says_where_each_setting_came_from(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("multistage.toml").write_text('budget = 40\n[configs."digits:mlp"]\nparams = "alpha"\nranges.alpha = "0.1-1"')
    monkeypatch.setenv("MULTISTAGE_SEED", "5")
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        main(("plan", "digits:mlp", "--split", "40/40/20"))
    assert ended.value.code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert ["budget", "40", "multistage.toml"] in rows
    assert ["seed", "5", "environment"] in rows
    assert ["split", "40/40/20", "command line"] in rows
    assert ["ranges.alpha", "0.1-1.0", "multistage.toml"] in rows


@pytest.mark.parametrize("arguments", [LR, ("plan", *LR), ("status",), ("settings",), ("best", "mine")])
def test_an_unknown_key_of_the_settings_file_is_misuse(
    arguments: tuple[str, ...], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("multistage.toml").write_text("budgt = 40")
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "unknown key 'budgt'. Did you mean budget?" in line
    assert list(list_files(place.parent)) == [str(place / "multistage.toml")]


def test_settings_tell_what_the_file_says_and_give_its_schema(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("multistage.toml").write_text('budget = 40\n[configs."my:own"]\ncommand = "x"\nranges.lr = "0-1"')
    for arguments, words in (
        ((), ("budget", "my:own")),
        (("my:own",), ("command", "ranges.lr", "multistage.toml, my:own")),
        (("--schema",), ('"$schema"', '"additionalProperties": false')),
    ):
        with pytest.raises(SystemExit) as ended:
            main(("settings", *arguments))
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        assert all(word in shown for word in words), shown


def test_settings_tell_what_other_launchers_take_and_the_environments_ranges(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("multistage.toml").write_text('keep_workers = true\nranges.lr = "0-1"\n[modal]\ngpu = "T4"\ntimeout = 7200\n')
    monkeypatch.setenv("MULTISTAGE_RANGES", '{"lr": "0-2", "width": "pow2:32-512"}')
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit):
        main(("settings",))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    idle = "multistage.toml, with --launcher modal"
    assert [row for row in rows if row] == [
        ["ranges.lr", "0-2", "environment"],
        ["ranges.width", "pow2:32-512", "environment"],
        ["keep_workers", "True", idle],
        ["modal.gpu", "T4", idle],
        ["modal.timeout", "7200", idle],
    ]


def test_nothing_asked_for_is_answered_by_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(())
    assert ended.value.code == 0
    assert "three narrowing stages" in capsys.readouterr().out


def test_best_and_status_of_a_sweep_that_has_none_yet(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    SweepFolder(place / "runs" / "mine").write_state(make_state(0))
    with pytest.raises(SystemExit) as ended:
        main(("best", "mine"))
    assert ended.value.code == 2
    assert "no best config yet" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(("status", "mine"))
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "its driver is gone" in shown
    assert "Resume with: multistage-sweep resume mine" in shown


def test_a_seed_that_a_training_does_not_take_is_refused_with_the_flag_that_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = SimpleNamespace(state=None)
    monkeypatch.setattr("multistage.cli.training.open_for_training", lambda *_: nullcontext(session))
    monkeypatch.setattr("multistage.report.best_config.select_best", lambda _: {})
    monkeypatch.setattr("multistage.retraining.replication.find_seed_parameter", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        main(("train", "mine", "--seed", "7"))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"Begin the sweep with {OPTIONS['seed_param'].flag} NAME, or leave --seed out." in said


def test_down_with_nothing_running_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(("down",))
    assert ended.value.code == 0
    assert capsys.readouterr().out == ""


def test_there_is_nothing_to_set_where_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(("env",))
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "multistage-sweep: The local services are not running. `multistage-sweep up` starts them.\n"


@pytest.mark.parametrize("arguments", ["--help", "plan --help", "status", "--version"])
def test_what_needs_no_heavy_package_imports_none(arguments: str) -> None:
    code = (
        "import sys\n"
        "from multistage.cli import main\n"
        "try:\n"
        f"    main({arguments.split()!r})\n"
        "except SystemExit as ended:\n"
        "    assert ended.code == 0, ended.code\n"
        "heavy = {'prefect', 'wandb', 'modal', 'sklearn', 'scipy', 'torch', 'uvicorn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_sweep_starts_with_the_two_warnings_that_matter_most(capsys: pytest.CaptureFixture[str]) -> None:
    show_advice(Console(), ("loss is [maximized].", "lr is linear.", "10 runs are few.", "Hyperband stops none."))
    assert capsys.readouterr().out.splitlines() == [
        "Warning: loss is [maximized].",
        "Warning: lr is linear.",
        "2 more: `multistage-sweep plan` with the same options shows them.",
    ]
    show_advice(Console(), ("10 runs are few.",))
    assert capsys.readouterr().out == "Warning: 10 runs are few.\n"
