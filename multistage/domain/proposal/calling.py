"""How a script is started, and how it takes its parameters."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field

from multistage.domain.model import Model
from multistage.domain.proposal.script_options import ScriptOption, Taking
from multistage.domain.runs.results import Value
from multistage.domain.runs.values import read_value
from multistage.domain.workers.styles import DEFAULT_STYLE, PROGRAM_MACRO, START, STYLES, ProgramKind

_STYLE_NAMES: Mapping[tuple[bool, Taking], str] = {
    (False, "value"): DEFAULT_STYLE,
    (False, "pair"): "flags",
    (False, "switch"): "switches",
    (True, "value"): "hyphens",
    (True, "pair"): "hyphen-flags",
    (True, "switch"): "hyphen-switches",
}
"""By whether names have hyphens, and how booleans are told."""
OPTION_STYLES = tuple(_STYLE_NAMES.values())
"""Those by which a script is given options, rather than anything else."""
_ASSIGNMENT = re.compile(r"\+{0,2}([A-Za-z_][\w./]*)=")


class Invocation(Model):
    """A script as its user starts it."""

    program: str
    """Its path as the settings file has it, or a module's name."""
    kind: ProgramKind = "script"
    before: tuple[str, ...] | None = None
    """What stands in front of the program, in W&B's macros; None where that is what its kind asks for."""
    typed: tuple[str, ...] = ()
    """What its user types behind it."""
    python: str | None = None
    """Another interpreter than this one."""

    def build_command(self, typed: Sequence[str], arguments: Sequence[str] = ()) -> tuple[str, ...]:
        """Build the whole command.

        Args:
            typed: What follows the program in any case.
            arguments: A style's.
        """
        before = _KIND_STARTS[self.kind] if self.before is None else self.before
        return (*before, PROGRAM_MACRO, *typed, *arguments)


_KIND_STARTS: Mapping[ProgramKind, tuple[str, ...]] = {"script": START, "module": (*START, "-m"), "executable": ()}


class Calling(Model):
    """How a script takes its parameters, and which it has."""

    style: str
    usual: dict[str, Value]
    """Usual values by the name that is swept."""
    choices: dict[str, tuple[Value, ...]] = Field(default_factory=dict)
    """What it says that it takes, by that name."""
    unmoved: frozenset[str] = frozenset()
    """Which of them every run must be given as they are, since the script has no values of its own."""


def flatten_values(config: Mapping[str, Any], prefix: str = "") -> dict[str, Value]:
    """Return a config's plain values, nested ones by their names with dots; a text that is a number as that.

    Args:
        config: As W&B has it.
        prefix: Of the names.
    """
    flat: dict[str, Value] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten_values(value, f"{prefix}{key}.")
        elif isinstance(value, Value) and not key.startswith("_"):
            flat[f"{prefix}{key}"] = _read_text(value) if isinstance(value, str) else value
    return flat


def _read_text(text: str) -> Value:
    value = read_value(text)
    return value if isinstance(value, float) else text


def call_by_options(config: Mapping[str, Value], options: Iterable[ScriptOption]) -> Calling:
    """Infer how a script takes its parameters from the options that it lists.

    Args:
        config: The values that a run was seen to have, flat.
        options: Of the script.
    """
    values = {option: _find_value(config, option) for option in options}
    found = {option: value for option, value in values.items() if value is not None}
    numbers = [option for option, value in found.items() if not isinstance(value, bool | str)]
    hyphens = any("-" in number.name for number in numbers) and not any("_" in number.name for number in numbers)
    booleans = {option.taking for option, value in found.items() if isinstance(value, bool)}
    taking: Taking = "pair" if "pair" in booleans else "switch" if "switch" in booleans else "value"
    name: Callable[[ScriptOption], str] = lambda option: option.key if hyphens else option.name  # noqa: E731
    return Calling(
        style=_STYLE_NAMES[hyphens, taking],
        usual={name(option): value for option, value in found.items()},
        choices={name(option): option.choices for option in found if option.choices},
    )


def _find_value(config: Mapping[str, Value], option: ScriptOption) -> Value | None:
    """Find an option's usual value: in the config under its name, or the last part of that; else its default."""
    if option.key in config:
        return config[option.key]
    last = option.key.rpartition(".")[2]
    if last != option.key and last in config:
        return config[last]
    return option.default


def read_json_word(word: str, read_file: Callable[[str], str | None]) -> tuple[str, dict[str, Any]] | None:
    """Read a typed word that holds all parameters as JSON, or names a file that does.

    Args:
        word: As it was typed.
        read_file: Gives a file's text; None where there is none.

    Returns:
        The style, and the values; None where it is no such word.
    """
    in_file = word.endswith(".json")
    text = read_file(word) if in_file else word
    try:
        values = json.loads(text) if text is not None else None
    except ValueError:
        return None
    return ("json-file" if in_file else "json", values) if isinstance(values, dict) else None


def drop_words(typed: Sequence[str], names: Iterable[str], options: Iterable[ScriptOption] = ()) -> tuple[str, ...]:
    """Leave out of what was typed what the sweep sets itself.

    Args:
        typed: Words behind the program.
        names: What the sweep sets.
        options: The script's, which say whether a value follows.
    """
    ours = {_normalize(name) for name in names}
    takings = {_normalize(option.name): option.taking for option in options}
    kept: list[str] = []
    words = list(typed)
    while words:
        word = words.pop(0)
        found = _ASSIGNMENT.match(word)
        name = _normalize(word.lstrip("-").partition("=")[0]) if word.startswith("--") else found[1] if found else ""
        if _normalize(name) not in ours and name.removeprefix("no_") not in ours:
            kept.append(word)
        elif "=" not in word and takings.get(name, "value") == "value" and words and not _is_option(words[0]):
            words.pop(0)
    return tuple(kept)


def _normalize(name: str) -> str:
    return name.replace("-", "_")


def _is_option(word: str) -> bool:
    return re.match(r"--?[A-Za-z]", word) is not None


def choose_words(invocation: Invocation, style: str, typed: Sequence[str]) -> tuple[str | None, str | None]:
    """Write how the program is started, as the settings file has it: by a style where that says all.

    Args:
        invocation: How its user starts it.
        style: How it takes its parameters.
        typed: What it is given in every run.

    Returns:
        The style, None where it is the usual one; and the command, None where the style says it.
    """
    if invocation.before is None:
        known = next((one for one in (style, "lightning") if (*typed, *STYLES[style]) == STYLES[one]), None)
        if known is not None:
            return (None if known == DEFAULT_STYLE else known), None
    return None, " ".join(_quote(word) for word in invocation.build_command(typed, STYLES[style]))


def _quote(word: str) -> str:
    """Quote a word for a shell, macros left as they are."""
    if re.fullmatch(r"[\w@%+=:,./${}~-]+", word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
