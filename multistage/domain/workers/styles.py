"""How training scripts take their parameters: ready commands by the name of a script's family.

W&B's macros know neither hyphens nor ``--no-flag``; the macros here do, and our workers fill them in. W&B's own agent
would drop them.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal, assert_never

from multistage.errors import UsageError
from multistage.spelling import suggest

PROGRAM_MACRO = "${program}"
BUNDLED_PROGRAM = "multistage.training"
"""A sweep's ``program`` where a bundled trainer does the training."""
START = ("${env}", "${interpreter}")
DEFAULT_STYLE = "argparse"
DEFAULT_COMMAND = (*START, PROGRAM_MACRO, "${args}")
"""W&B's own, of that style."""

STYLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        DEFAULT_STYLE: ("${args}",),
        "flags": ("${args_flags}",),
        "switches": ("${args_no_boolean_flags}",),
        "hyphens": ("${args_hyphens}",),
        "hyphen-flags": ("${args_hyphen_flags}",),
        "hyphen-switches": ("${args_hyphen_switches}",),
        "hydra": ("${args_no_hyphens}",),
        "configurator": ("${args}",),
        "lightning": ("fit", "${args}"),
        "json": ("${args_json}",),
        "json-file": ("${args_json_file}",),
        "config": (),
        "guide": ("--config_id", "${config_id}", "--wandb_sweep"),
    }
)
"""What follows the program, by style."""

ProgramKind = Literal["script", "module", "executable"]
"""A Python file, a module that Python finds by its name, or a file that starts by itself."""

_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_module_name(text: str) -> bool:
    """Whether a program may be a module: dotted names, and no Python file's name."""
    return _MODULE.fullmatch(text) is not None and not text.endswith((".py", ".pyw"))


def find_style(name: str) -> tuple[str, ...]:
    """Find what follows the program in a style's command.

    Raises:
        UsageError: There is no such style.
    """
    if name not in STYLES:
        raise UsageError(f"There is no style {name!r}.", f"{suggest(name, STYLES, 0.5)}There are {', '.join(STYLES)}.")
    return STYLES[name]


def build_command(kind: ProgramKind, arguments: Sequence[str] = STYLES[DEFAULT_STYLE]) -> tuple[str, ...]:
    """Build the command that starts a program; empty for the one that is W&B's default.

    Args:
        kind: What the program is.
        arguments: What follows it.
    """
    match kind:
        case "script":
            usual = tuple(arguments) == STYLES[DEFAULT_STYLE]
            return () if usual else (*START, PROGRAM_MACRO, *arguments)
        case "module":
            return (*START, "-m", PROGRAM_MACRO, *arguments)
        case "executable":  # `env` would take a path with an equals sign for a variable
            return (PROGRAM_MACRO, *arguments)
        case _:
            assert_never(kind)


def runs_module(command: Sequence[str]) -> bool:
    """Whether a command's program is a module: the word before it says so."""
    return any(word in ("-m", "--module") and after == PROGRAM_MACRO for word, after in pairwise(command))


def follows_guide(command: Sequence[str]) -> bool:
    """Whether a command ends as the style `guide` does, whatever its config id."""
    first, _, last = STYLES["guide"]
    return tuple(command[-3::2]) == (first, last)


def fill_macros(command: Sequence[Any], values: Mapping[str, Any]) -> list[Any]:
    """Replace this project's own macros in a command; W&B's are left to W&B's agent.

    Args:
        command: Its words.
        values: The run's, by parameter; nested ones become dotted.
    """
    filled: list[Any] = []
    for word in command:
        write = OWN_MACROS.get(word) if isinstance(word, str) else None
        filled += [word] if write is None else [text for pair in _flatten(values) if (text := write(*pair))]
    return filled


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _write_flag(name: str, value: Any) -> str:
    """``--name=value``; a boolean as argparse's ``BooleanOptionalAction``, click and tyro take it."""
    if not isinstance(value, bool):
        return f"--{name}={value}"
    group, dot, last = name.rpartition(".")
    return f"--{name}" if value else f"--{group}{dot}no-{last}"


def _write_hyphens(name: str, value: Any) -> str:
    return f"--{name.replace('_', '-')}={value}"


def _write_hyphen_flag(name: str, value: Any) -> str:
    return _write_flag(name.replace("_", "-"), value)


def _write_hyphen_switch(name: str, value: Any) -> str:
    """``--name`` for what is true, nothing for what is false."""
    return "" if value is False else _write_hyphen_flag(name, value)


OWN_MACROS: Mapping[str, Callable[[str, Any], str]] = MappingProxyType(
    {
        "${args_flags}": _write_flag,
        "${args_hyphens}": _write_hyphens,
        "${args_hyphen_flags}": _write_hyphen_flag,
        "${args_hyphen_switches}": _write_hyphen_switch,
    }
)
"""What they make of a parameter and its value; an empty text for nothing."""
