"""What a style makes of a program, and what this project's own macros make of a run's values."""

import pytest

from multistage.domain.workers.styles import (
    DEFAULT_COMMAND,
    STYLES,
    build_command,
    fill_macros,
    find_style,
    follows_guide,
    is_module_name,
    runs_module,
)
from multistage.errors import UsageError

VALUES = {"learning_rate": 1e-05, "use_amp": False, "fast": True, "n": 3, "opt": {"max_lr": 1.0, "is_on": False}}


@pytest.mark.parametrize(
    ("macro", "words"),
    [
        (
            "${args_flags}",
            ["--learning_rate=1e-05", "--no-use_amp", "--fast", "--n=3", "--opt.max_lr=1.0", "--opt.no-is_on"],
        ),
        (
            "${args_hyphens}",
            [
                *("--learning-rate=1e-05", "--use-amp=False", "--fast=True"),
                *("--n=3", "--opt.max-lr=1.0", "--opt.is-on=False"),
            ],
        ),
        (
            "${args_hyphen_flags}",
            ["--learning-rate=1e-05", "--no-use-amp", "--fast", "--n=3", "--opt.max-lr=1.0", "--opt.no-is-on"],
        ),
        ("${args_hyphen_switches}", ["--learning-rate=1e-05", "--fast", "--n=3", "--opt.max-lr=1.0"]),
    ],
)
def test_own_macros_write_names_and_booleans_as_the_script_takes_them(macro: str, words: list[str]) -> None:
    assert fill_macros(["python", macro, 7, "${args}"], VALUES) == ["python", *words, 7, "${args}"]


def test_a_style_follows_the_program_of_whichever_kind() -> None:
    assert build_command("script") == (), "W&B's default needs no command"
    assert build_command("script", find_style("configurator")) == ()
    assert build_command("script", find_style("config")) == DEFAULT_COMMAND[:3]
    assert build_command("module", find_style("hydra")) == (
        "${env}", "${interpreter}", "-m", "${program}", "${args_no_hyphens}",
    )  # fmt: skip
    assert build_command("executable") == ("${program}", "${args}")


def test_a_command_tells_that_its_program_is_a_module() -> None:
    assert runs_module(build_command("module"))
    assert runs_module(["torchrun", "--module", "${program}"])
    assert not runs_module(["python", "-m", "pkg", "${program}"])


def test_a_command_tells_that_it_is_the_guides() -> None:
    assert follows_guide(["python", "${program}", "--config_id", "CartPole-v1:ppo", "--wandb_sweep"])
    assert not follows_guide(["--config_id", "CartPole-v1:ppo", "--wandb_sweep", "${args}"])
    assert not follows_guide(DEFAULT_COMMAND)
    assert not follows_guide(())


def test_an_unknown_style_lists_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no style 'hyphen'") as refused:
        find_style("hyphen")
    assert refused.value.hint.startswith("Did you mean hyphens? There are argparse, flags")
    with pytest.raises(UsageError) as refused:
        find_style("q")
    assert refused.value.hint == f"There are {', '.join(STYLES)}."


@pytest.mark.parametrize("text", ["pkg", "pkg.train", "größe.train", "_a.b_2"])
def test_dotted_names_may_be_modules(text: str) -> None:
    assert is_module_name(text)


@pytest.mark.parametrize("text", ["train.py", "a.b.pyw", "a/b", "run-it", "a..b", ".a", "2a", "", "my model"])
def test_files_are_none(text: str) -> None:
    assert not is_module_name(text)
