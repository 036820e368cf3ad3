"""Why a program has ended well although its run never began, as far as its output and its text tell."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from multistage.worker.outputs import ESCAPES, find_log
from multistage.worker.switches import Switch, find_flag, list_switches

LONGEST_TEXT = 1_000_000
"""Characters of an output or of a program's text that are looked at."""
REMEDY = "Make it call wandb.init in every run, with no mode of its own."

_RUN_LINK = re.compile(r"https?://[^\s/]+(?:/[^\s/]+)*?/([^\s/]+)/([^\s/]+)/runs/([\w-]+)")
_OFF = re.compile(r"""WANDB_(?:MODE|DISABLED)|mode\s*=\s*["'](?:offline|disabled|dryrun)["']""")


class Absence(NamedTuple):
    """Why a run is not where it should be."""

    sentence: str
    """With the remedy."""
    certain: bool
    """Whether that is known to be the program's doing, whatever its config."""


def explain_absence(run_id: str, entity: str, project: str, command: Sequence[str], left: Sequence[str]) -> Absence:
    """Say why the run of a program that ended with exit code 0 never began, or goes on without it.

    Args:
        run_id: The run.
        entity: The sweep's.
        project: The sweep's.
        command: That started the program.
        left: Command lines of what the program has left in the background.
    """
    moved = explain_move(_read(find_log(run_id)), (entity, project, run_id))
    if moved:
        return Absence(moved, certain=True)
    if left:
        sentence = (
            f"The command ended with exit code 0 and left its training in the background ({left[0]}), where it was "
            "ended. Let the command wait for it: no `&`, no `nohup`, no daemon."
        )
        return Absence(sentence, certain=True)
    sentence = "The program ended with exit code 0 and never reached wandb.init."
    return Absence(f"{sentence} {suggest_remedy(command)}", certain=False)


def explain_move(output: str, home: tuple[str, str, str]) -> str:
    """Say which variable has moved a run away, by wandb's own lines in the output; empty where none has.

    Args:
        output: What the program printed.
        home: Entity, project and id of the run that it should have trained.
    """
    found = _RUN_LINK.search(ESCAPES.sub("", output))
    if found is None or found.groups() == home:
        return ""
    variables = ("WANDB_ENTITY", "WANDB_PROJECT", "WANDB_RUN_ID")
    named = [name for name, its, ours in zip(variables, found.groups(), home, strict=True) if its != ours]
    told = " and ".join(named)
    return (
        f"The program sets {told} in its environment, so its run is {'/'.join(found.groups())} and none of the "
        f"sweep's. Take {told} out of the program; arguments of wandb.init are fine."
    )


def suggest_remedy(command: Sequence[str]) -> str:
    """Say what makes a program reach ``wandb.init``, by its text and by what its command gives."""
    text = next((text for word in command if word.endswith(".py") and (text := _read(Path(word)))), "")
    if not text:
        return REMEDY
    switches = list_switches(text)
    flags = {switch: find_flag(text, switch.name) for switch in switches}
    for switch, flag in flags.items():
        if switch.wanted is False and flag in command:
            return f"Its command gives {flag}, which turns wandb off: take that out."
    asked = [one for one in switches if one.is_off and one.wanted is not False and flags[one] not in command]
    tracking = next((one for one in asked if one.is_about_tracking), None)
    if tracking is not None:
        return _name_switch(tracking, flags[tracking])
    if off := _OFF.search(text):
        return f"Its source turns wandb off ({off[0]}): take that out."
    if asked:
        return _name_switch(asked[0], flags[asked[0]])
    if "wandb" not in text:
        return "Its source does not mention wandb: does it log elsewhere?"
    return REMEDY


def _name_switch(switch: Switch, flag: str | None) -> str:
    value = f" {switch.wanted}" if isinstance(switch.wanted, str) else ""
    way = f"{flag}{value} added to --command" if flag else f"--train-arg {switch.name}={switch.wanted}"
    do = f"make that {value.strip()}" if value else "turn that on"
    return f"Its source asks for {flag or switch.name} first: {do} by default, or start a new sweep with {way}."


def _read(path: Path | None) -> str:
    if path is None or not path.is_file():
        return ""
    with path.open(errors="replace") as file:
        return file.read(LONGEST_TEXT)
