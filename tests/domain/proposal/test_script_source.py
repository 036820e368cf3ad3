import pytest

from multistage.domain.proposal.script_source import read_source

OPTIONS = """
parser.add_argument("-l", "--learning-rate", type=float, default=0.1)
parser.add_argument("--amp", action=argparse.BooleanOptionalAction, default=True)
parser.add_argument("--cuda", action="store_true")
parser.add_argument("--optim", choices=["adam", "sgd"], default="adam")
parser.add_argument("--out", default=os.getcwd())
parser.add_argument("file")
parser.add_argument("--")

@click.option("--shuffle/--no-shuffle", default=False)
@click.option("--quiet", is_flag=True)
def main(): ...

flags.DEFINE_integer("n_steps", 9, "Steps.")
flags.DEFINE_alias("short")
unknown(option)("--nothing")
option("--width", default=8)
"""


def test_options_are_read_with_their_defaults() -> None:
    found = [(one.name, one.taking, one.default, one.choices) for one in read_source(OPTIONS).options]
    assert sorted(found) == sorted([
        ("learning-rate", "value", 0.1, ()),
        ("amp", "pair", True, ()),
        ("cuda", "switch", None, ()),
        ("optim", "value", "adam", ("adam", "sgd")),
        ("out", "value", None, ()),
        ("shuffle", "pair", False, ()),
        ("quiet", "switch", None, ()),
        ("n_steps", "value", 9, ()),
        ("width", "value", 8, ()),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wandb.config.lr", {"lr": None}),
        ("wandb.run.config['lr']", {"lr": None}),
        ("cfg = wandb.config\nuse(cfg.lr, cfg['layers'], cfg[name])", {"lr": None, "layers": None}),
        ("run = wandb.init()\nrun.config.get('lr', 0.1)\nrun.config.get('layers')", {"lr": 0.1, "layers": None}),
        ("it = wandb.init()\nit.config.lr", {"lr": None}),
        ("cfg = {'lr': 0.1, **rest} | dict(run.config)\ncfg['width']", {"lr": 0.1, "width": None}),
        ("cfg = dict(run.config)\ncfg['lr']", {"lr": None}),
        ("cfg = {'lr': 0.1, **run.config}", {"lr": 0.1}),
        ("cfg = wandb.config\ncfg.update({'lr': 1})\ncfg.lr = 2\ncfg['lr'] = 3", {}),
        ("model.config.hidden_size\nhidden = model.config", {}),
        ("lr = run.config.lr\nlr.imag", {"lr": None}),
        ("print(wandb.config)", {}),
    ],
)
def test_what_is_read_from_wandbs_config(text: str, expected: dict[str, object]) -> None:
    assert read_source(text).reads == expected


def test_keys_that_are_logged() -> None:
    lines = (
        "wandb.log({'loss': 1, name: 2, **rest})",
        "self.log('val/acc', x)",
        "math.log(2)",
        "log('x')",
        "run.log()",
    )
    assert read_source("\n".join(lines)).logs == ("loss", "val/acc")


@pytest.mark.parametrize(
    ("text", "styles"),
    [
        ("@hydra.main()\ndef main(cfg): ...", ("hydra",)),
        ("exec(open('configurator.py').read())", ("configurator",)),
        ("LightningCLI(Model)", ("lightning",)),
        ("train()", ()),
    ],
)
def test_styles_by_what_stands_in_the_text(text: str, styles: tuple[str, ...]) -> None:
    assert read_source(text).styles == styles


def test_a_script_may_read_its_command_line_where_a_word_says_so() -> None:
    assert read_source("import argparse").takes_words
    assert read_source("from model import main_cli").takes_words
    assert not read_source("import wandb\nwandb.init()").takes_words


@pytest.mark.parametrize("text", ["#!/bin/sh\nexec python train.py", "print 'python 2'", "\x00"])
def test_what_is_no_python_tells_nothing(text: str) -> None:
    assert read_source(text) == read_source("")
