"""`--search`, wherever it stands: a searcher that there is not is a sentence, and nothing is begun."""

from pathlib import Path

import pytest

from multistage.cli import main
from tests.search.strangers import install

SWEEP = ("digits:mlp", "--params", "alpha,learning_rate", "--budget", "30", "--tracker", "embedded")


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("place", ["flag", "file", "variable"])
def test_an_unknown_searcher_is_refused_with_what_there_is(
    place: str,
    command: str,
    workplace: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, tmp_path_factory.mktemp("strange"))
    flags: tuple[str, ...] = ("--search", "sobel") if place == "flag" else ()
    if place == "file":
        (workplace / "multistage.toml").write_text('search = "sobel"')
    if place == "variable":
        monkeypatch.setenv("MULTISTAGE_SEARCH", "sobel")
    before = list(workplace.iterdir())
    with pytest.raises(SystemExit) as ended:
        main((command, *SWEEP, *flags))
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    told = (
        "There is no searcher 'sobel'. Did you mean sobol? "
        "There are auto, gp, wandb, random, sobol, optuna:SAMPLER, corners."
    )
    assert told in captured.err
    assert len(captured.err.splitlines()) == 1
    assert list(workplace.iterdir()) == before


def test_a_plan_names_the_searcher(
    workplace: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, tmp_path_factory.mktemp("strange"))
    with pytest.raises(SystemExit) as ended:
        main(("plan", *SWEEP, "--search", "corners"))
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "corners" in shown
    assert "gaussian process" not in shown
