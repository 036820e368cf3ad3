"""What makes a program reach wandb.init that has ended well without: read off its text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multistage.worker.absence import REMEDY, suggest_remedy
from multistage.worker.switches import list_switches

WANDB_OPTION = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--wandb', action='store_true')\n"
INIT = "    wandb.init()\n"

PROGRAMS = {
    "a field of tyro's": (
        "class Args:\n    track: bool = False\n\nif args.track:\n    import wandb\n    wandb.init()\n",
        "asks for --track first: turn that on by default, or start a new sweep with --track added to --command.",
    ),
    "an option": (
        f"p.add_argument('--use-wandb')\nif cfg.use_wandb:\n{INIT}",
        "with --use-wandb added to --command.",
    ),
    "a variable": (
        "wandb_log = False\nif wandb_log and master_process:\n    import wandb\n",
        "with --train-arg wandb_log=True.",
    ),
    "the mode's": (
        f'{WANDB_OPTION}wandb.init(project="p", mode="online" if args.wandb else "disabled")\n',
        "with --wandb added to --command.",
    ),
    "the mode's, the other way round": (
        f'{WANDB_OPTION}wandb.init(mode="offline" if not args.wandb else None)\n',
        "with --wandb added to --command.",
    ),
    "a subscript": (f'if cfg["use_wandb"]:\n{INIT}', "with --train-arg use_wandb=True."),
    "a dict's entry": (f'cfg = {{"save": False}}\nif cfg["save"]:\n{INIT}', "with --train-arg save=True."),
    "get": (f'if cfg.get("wandb", False):\n{INIT}', "with --train-arg wandb=True."),
    "getattr": (f'{WANDB_OPTION}if getattr(args, "wandb", False):\n{INIT}', "with --wandb added to --command."),
    "a path": (f"if cfg.logging.wandb.enabled:\n{INIT}", "with --train-arg logging.wandb.enabled=True."),
    "a path of an object's": (f"if self.cfg.wandb.enabled:\n{INIT}", "with --train-arg wandb.enabled=True."),
    "beside a rank": (f"if rank == 0 and args.use_wandb:\n{INIT}", "with --train-arg use_wandb=True."),
    "around a rank": (f"if args.use_wandb:\n    if rank == 0:\n    {INIT}", "with --train-arg use_wandb=True."),
    "a rank, and offline": ("if rank == 0:\n    wandb.init(mode='offline')\n", "turns wandb off (mode='offline')"),
    "a rank alone": (f"if rank == 0:\n{INIT}", REMEDY),
    "the main process": (f"if accelerator.is_main_process:\n{INIT}", REMEDY),
    "wandb's being there": (f"if is_wandb_available():\n{INIT}", REMEDY),
    "wandb's having been found": (
        f"try:\n    import wandb\n    has_wandb = True\nexcept:\n    has_wandb = False\nif has_wandb:\n{INIT}",
        REMEDY,
    ),
    "wandb itself": (f"if wandb is not None:\n{INIT}", REMEDY),
    "what turns it off, not given": (
        f"p.add_argument('--no-wandb', action='store_true')\nif not args.no_wandb:\n{INIT}",
        REMEDY,
    ),
    "an early return": (
        f"{WANDB_OPTION}def begin(args):\n    if not args.wandb:\n        return\n    wandb.init()\n",
        "with --wandb added to --command.",
    ),
    "a choice": (
        f"p.add_argument('--logger', default='none')\nif args.logger == 'wandb':\n{INIT}",
        "asks for --logger first: make that wandb by default, or start a new sweep with --logger wandb added",
    ),
    "one of a list": (
        "if 'wandb' in cfg.report_to:\n    logger = WandbLogger()\n",
        "with --train-arg report_to=wandb.",
    ),
    "a variable that stands for an option": (
        f"{WANDB_OPTION}on = args.wandb and rank == 0\nif on:\n{INIT}",
        "with --wandb added to --command.",
    ),
    "a parameter": (
        f"def main(wandb_on: bool = typer.Option(False)):\n    if wandb_on:\n    {INIT}",
        "asks for wandb_on first",
    ),
    "click's": (
        f"@click.option('--track/--no-track', default=False)\ndef main(track):\n    if track:\n    {INIT}",
        "with --track added to --command.",
    ),
    "a function's own": ("if args.track:\n    init_wandb(args)\n", "with --train-arg track=True."),
    "on by default": (
        f"p.add_argument('--wandb', default=True)\nif args.wandb:\n{INIT}",
        REMEDY,
    ),
    "what is logged later": ("done = False\nwandb.init()\nif done:\n    wandb.log({})\n", REMEDY),
    "a mode": ("import wandb\nwandb.init(mode='disabled')\n", "turns wandb off (mode='disabled')"),
    "a variable of the environment": (
        "import os, wandb\nos.environ['WANDB_MODE'] = 'offline'\n",
        "turns wandb off (WANDB_MODE)",
    ),
    "nothing of wandb": ("print('trained')\n", "does not mention wandb"),
    "no condition": ("import wandb\ndef train():\n    wandb.init()\nif __name__ == '__main__':\n    wandb\n", REMEDY),
    "another language": (f"print 'wandb'\nif args.wandb:\n{INIT}", REMEDY),
}


@pytest.mark.parametrize(("text", "remedy"), PROGRAMS.values(), ids=PROGRAMS.keys())
def test_the_remedy_is_read_off_the_program(tmp_path: Path, text: str, remedy: str) -> None:
    program = tmp_path / "train.py"
    program.write_text(text)
    assert remedy in suggest_remedy(["/usr/bin/env", "python", str(program)])


@pytest.mark.parametrize(
    ("flag", "remedy"),
    [
        ("--no-wandb", "Its command gives --no-wandb, which turns wandb off: take that out."),
        ("--wandb", REMEDY),
    ],
)
def test_what_the_command_gives_is_not_asked_for(tmp_path: Path, flag: str, remedy: str) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        f"{WANDB_OPTION}p.add_argument('--no-wandb', action='store_true')\nif args.wandb and not args.no_wandb:\n{INIT}"
    )
    assert suggest_remedy(["python", str(program), flag]) == remedy


@given(st.text(alphabet="if wandb.args:=()\n'", max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    assert all(switch.name for switch in list_switches(text))
