import shlex

import pytest

from multistage.domain.proposal.calling import (
    Invocation,
    call_by_options,
    choose_words,
    drop_words,
    flatten_values,
    read_json_word,
)
from multistage.domain.proposal.script_options import ScriptOption, Taking
from multistage.domain.workers.styles import ProgramKind


def test_plain_values_of_a_config() -> None:
    config = {
        "optimizer": {"lr": 0.1, "betas": [0.9]},
        "name": "x",
        "_wandb": 1,
        "none": None,
        "text": "1e-3",
        "id": "7",
    }
    assert flatten_values(config) == {"optimizer.lr": 0.1, "name": "x", "text": 1e-3, "id": "7"}


@pytest.mark.parametrize(
    ("names", "taking", "style"),
    [
        (("learning_rate", "use_amp"), "value", "argparse"),
        (("learning_rate", "use_amp"), "pair", "flags"),
        (("learning_rate", "use_amp"), "switch", "switches"),
        (("learning-rate", "use-amp"), "value", "hyphens"),
        (("learning-rate", "use-amp"), "pair", "hyphen-flags"),
        (("learning-rate", "use-amp"), "switch", "hyphen-switches"),
    ],
)
def test_a_style_by_the_options(names: tuple[str, str], taking: Taking, style: str) -> None:
    number, boolean = names
    options = [ScriptOption(name=number), ScriptOption(name=boolean, taking=taking), ScriptOption(name="more")]
    calling = call_by_options({"learning_rate": 0.1, "use_amp": True, "other": 1}, options)
    assert (calling.style, calling.usual) == (style, {"learning_rate": 0.1, "use_amp": True})


def test_names_of_both_kinds_are_swept_as_they_are_typed() -> None:
    calling = call_by_options({}, [ScriptOption(name="batch-size", default=8), ScriptOption(name="n_steps", default=9)])
    assert (calling.style, calling.usual) == ("argparse", {"batch-size": 8, "n_steps": 9})


def test_a_dotted_option_is_found_by_the_last_part_of_its_name() -> None:
    options = [ScriptOption(name="model.lr"), ScriptOption(name="data.size", default=3, choices=(3, 4))]
    calling = call_by_options({"lr": 0.1}, options)
    assert calling.usual == {"model.lr": 0.1, "data.size": 3}
    assert calling.choices == {"data.size": (3, 4)}


def test_parameters_as_json() -> None:
    files = {"given.json": '{"lr": 0.2}', "list.json": "[1]", "broken.json": "{"}
    assert read_json_word('{"lr": 0.1}', files.get) == ("json", {"lr": 0.1})
    assert read_json_word("given.json", files.get) == ("json-file", {"lr": 0.2})
    for word in ("list.json", "broken.json", "missing.json", "5", "text"):
        assert read_json_word(word, files.get) is None


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("--epochs 3 --lr 0.1", "--epochs 3"),
        ("--lr=0.1 --epochs=3", "--epochs=3"),
        ("--learning-rate 0.1 fit", "fit"),
        ("--use-amp fit --no-use-amp", "fit"),
        ("--lr -0.1 x", "x"),
        ("--lr --epochs 3", "--epochs 3"),
        ("--lr", ""),
        ("optimizer.width=3 +seed=1 epochs=2", "epochs=2"),
        ("-v data/lr", "-v data/lr"),
    ],
)
def test_what_the_sweep_sets_is_no_longer_typed(typed: str, kept: str) -> None:
    names = ["lr", "learning_rate", "use_amp", "optimizer.width", "seed"]
    options = [ScriptOption(name="use-amp", taking="switch"), ScriptOption(name="lr")]
    assert drop_words(typed.split(), names, options) == tuple(kept.split())


@pytest.mark.parametrize(
    ("kind", "before", "style", "typed", "expected"),
    [
        ("script", None, "argparse", "", (None, None)),
        ("script", None, "hyphens", "", ("hyphens", None)),
        ("script", None, "argparse", "fit", ("lightning", None)),
        ("script", None, "flags", "--track", (None, "${env} ${interpreter} ${program} --track ${args_flags}")),
        ("module", None, "hydra", "a=1", (None, "${env} ${interpreter} -m ${program} a=1 ${args_no_hyphens}")),
        ("executable", None, "config", "x", (None, "${program} x")),
        ("script", ("${env}", "torchrun"), "argparse", "", (None, "${env} torchrun ${program} ${args}")),
    ],
)
def test_how_it_is_started_is_said_by_a_style_where_that_says_all(
    kind: ProgramKind, before: tuple[str, ...] | None, style: str, typed: str, expected: tuple[str | None, str | None]
) -> None:
    assert choose_words(Invocation(program="train.py", kind=kind, before=before), style, typed.split()) == expected


def test_words_are_quoted_for_a_shell() -> None:
    _, command = choose_words(Invocation(program="train.py"), "config", ["it's", "a b", "x"])
    assert command is not None
    assert shlex.split(command)[3:] == ["it's", "a b", "x"]
