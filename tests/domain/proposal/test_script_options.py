import pytest

from multistage.domain.proposal.script_options import ScriptOption, Taking, merge_options, read_help, read_hydra_config

ARGPARSE = """usage: train.py [-h] [--learning_rate LEARNING_RATE]
                [--use_amp | --no-use_amp] [--cuda] [--optim {adam,sgd}]

Trains it.

options:
  -h, --help            show this help message and exit
  -l LR, --learning_rate LR
                        Step size.
                        As ever. (default: 0.1)
  --use_amp, --no-use_amp
                        Mixed precision. (default: True)
  --cuda
  --optim {adam,sgd}
  --name NAME           (default: None)
  --no_cache            no opposite of anything

More is in the docs.
"""
CLICK = """Usage: train.py [OPTIONS]

Options:
  --learning-rate FLOAT           [default: 0.1]
  --use-amp / --no-use-amp
  --verbose
  --size [small|large]
  --help                          Show this message and exit.
"""
TYRO = """usage: train.py [-h] [OPTIONS]

╭─ options ──────────────────────────────╮
│ -h, --help      show this help message │
│ --seed INT      (default: 1)           │
│ --track, --no-track                    │
│                 whether (default: False) │
│ --env-id STR    (default: CartPole-v1) │
│ --entity {None}|STR                    │
│                 (default: None)        │
╰────────────────────────────────────────╯
"""
ABSL = """train.py:
  --learning_rate: Step size.
    (default: '0.1')
    (a number)
  --[no]use_amp: Mixed precision.
    (default: 'true')
"""
TRAINER = """options:
  --learning_rate LEARNING_RATE, --learning-rate LEARNING_RATE
                        The rate. (default: 5e-05)
  --model.bias {true,false}
                        (type: bool, default: True)
"""


def read(text: str) -> list[tuple[str, Taking, object, tuple[object, ...]]]:
    return [(one.name, one.taking, one.default, one.choices) for one in read_help(text)]


def test_argparse_lists_its_options() -> None:
    assert read(ARGPARSE) == [
        ("learning_rate", "value", 0.1, ()),
        ("use_amp", "pair", True, ()),
        ("cuda", "switch", None, ()),
        ("optim", "value", None, ("adam", "sgd")),
        ("name", "value", None, ()),
        ("no_cache", "switch", None, ()),
    ]


def test_click_lists_its_options() -> None:
    assert read(CLICK) == [
        ("learning-rate", "value", 0.1, ()),
        ("use-amp", "pair", None, ()),
        ("verbose", "switch", None, ()),
        ("size", "value", None, ("small", "large")),
    ]


def test_tyro_lists_its_options_within_a_frame() -> None:
    assert read(TYRO) == [
        ("seed", "value", 1, ()),
        ("track", "pair", False, ()),
        ("env-id", "value", "CartPole-v1", ()),
        ("entity", "value", None, ()),
    ]


def test_absl_takes_values_for_booleans_too() -> None:
    assert read(ABSL) == [("learning_rate", "value", 0.1, ()), ("use_amp", "value", True, ())]


def test_the_trainer_names_an_option_twice() -> None:
    assert read(TRAINER) == [("learning_rate", "value", 5e-05, ()), ("model.bias", "value", True, (True, False))]


@pytest.mark.parametrize("text", ["", "Traceback (most recent call last):\n  File ...\nValueError: --help", "hello\n"])
def test_what_is_no_help_lists_nothing(text: str) -> None:
    assert read_help(text) == ()


def test_the_text_knows_defaults_that_the_help_does_not_tell() -> None:
    listed = (ScriptOption(name="lr"), ScriptOption(name="seed", default=1), ScriptOption(name="more"))
    written = (ScriptOption(name="lr", default=0.1), ScriptOption(name="seed", default=2))
    assert [one.default for one in merge_options(listed, written)] == [0.1, 1, None]
    assert merge_options((), written) == written


def test_an_options_key_has_underscores() -> None:
    assert ScriptOption(name="model.learning-rate").key == "model.learning_rate"


@pytest.mark.parametrize(
    ("shown", "config"),
    [
        ("Override anything in the config (foo.bar=value)\n\nepochs: 3\noptimizer:\n  lr: 0.1\n\n",
         {"epochs": 3, "optimizer": {"lr": 0.1}}),
        ("Override anything in the config (foo.bar=value)\n\na: [\n", {}),
        ("Help of the author's own\n", {}),
    ],
)  # fmt: skip
def test_hydra_shows_its_config(shown: str, config: dict[str, object]) -> None:
    assert read_hydra_config(f"train is powered by Hydra.\n\n{shown}Powered by Hydra (https://hydra.cc)\n") == config
    assert read_hydra_config(ARGPARSE) is None
