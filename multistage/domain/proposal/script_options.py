"""The options of a training script, as its ``--help`` lists them."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import yaml

from multistage.domain.model import Model
from multistage.domain.runs.results import Value
from multistage.domain.runs.values import read_value
from multistage.domain.sweep.sweep_config import LOADER

Taking = Literal["value", "pair", "switch"]
"""``--name=value``; ``--name`` and ``--no-name``; ``--name`` alone."""

HYDRA = "Powered by Hydra"

_FRAME = re.compile(r"^[ \t]*[│|]?|[│|]?[ \t]*$")
"""What tyro, rich and others draw around a line."""
_RULE = re.compile(r"^[\s╭╰─╮╯+-]*$|^[╭╰]")
_ROW = re.compile(r"^-{1,2}[A-Za-z\[]")
_NAME = re.compile(r"(?<![\w-])--(\[no-?\])?([A-Za-z][\w.-]*)")
_DEFAULT = re.compile(r"\bdefault(?: is|s to)?[:=]? *['\"]?(.*?)['\"]?[)\];]", re.IGNORECASE)
_CHOICES = re.compile(r"\{([^{}]*)\}|\[((?:[^\[\]|]+\|)+[^\[\]|]+)\]")
_IDLE = ("help", "helpfull", "helpshort", "helpxml", "version")


class ScriptOption(Model):
    """One option that a script takes."""

    name: str
    """As it is typed, without the hyphens in front."""
    taking: Taking = "value"
    default: Value | None = None
    """None where it has none, or nobody says it."""
    choices: tuple[Value, ...] = ()

    @property
    def key(self) -> str:
        """The name with underscores, as the script's config has it."""
        return self.name.replace("-", "_")


def read_help(text: str) -> tuple[ScriptOption, ...]:
    """Read the options out of what argparse, click, tyro, absl and their like print for ``--help``.

    Args:
        text: The whole output.
    """
    found: dict[str, ScriptOption] = {}
    for row, told in _list_rows(text):
        option = _read_row(row, told)
        if option is not None:
            found.setdefault(option.key, option)
    return tuple(found.values())


def read_hydra_config(text: str) -> dict[str, Any] | None:
    """Read the config that a script of Hydra shows for ``--help``; None of another script's help.

    Args:
        text: The whole output.
    """
    if HYDRA not in text:
        return None
    _, found, shown = text.partition("(foo.bar=value)")
    try:
        config = yaml.load(shown.partition(HYDRA)[0], LOADER) if found else None  # noqa: S506 - both are safe ones
    except yaml.YAMLError:
        return {}
    return config if isinstance(config, dict) else {}


def _list_rows(text: str) -> Iterator[tuple[str, str]]:
    """List the rows that begin with an option: what stands before its description, and the description."""
    rows: list[list[str]] = []
    for line in text.splitlines():
        bare = _FRAME.sub("", line).strip()
        if _ROW.match(bare):
            rows.append([bare])
        elif not bare or _RULE.match(bare):
            rows.append([])
        elif rows and rows[-1]:
            rows[-1].append(bare)
    for first, *more in filter(None, rows):
        head, _, told = re.sub(r"^(.*--[\w.\[\]-]+):\s", r"\1 VALUE  ", first).partition("  ")
        yield head, " ".join((told, *more))


def _read_row(head: str, told: str) -> ScriptOption | None:
    names = [(bool(no), name.rstrip(".-")) for no, name in _NAME.findall(head)]
    plain = [name for no, name in names if not re.match(r"no[-_]?", name) or no or len(names) == 1]
    if not plain or plain[0] in _IDLE:
        return None
    name = plain[0]
    opposites = {f"no-{name}", f"no_{name}", f"no{name}"}
    default = _DEFAULT.search(told)
    found = _CHOICES.search(head)
    choices = [word for word in re.split(r"[,|]", (found[1] or found[2]) if found else "") if word.strip()]
    return ScriptOption(
        name=name,
        taking="pair" if opposites & {other for _, other in names} else _infer_taking(head, names),
        default=None if default is None or default[1] in ("None", "") else read_value(default[1]),
        choices=tuple(read_value(word.strip()) for word in choices if word.strip() != "None"),
    )


def _infer_taking(head: str, names: Sequence[tuple[bool, str]]) -> Taking:
    """Return whether a value follows the last name."""
    rest = head.rpartition(f"--{names[-1][1]}")[2] if not names[-1][0] else "=VALUE"
    return "value" if rest.strip(" ,/|") else "switch"


def merge_options(listed: Sequence[ScriptOption], written: Sequence[ScriptOption]) -> tuple[ScriptOption, ...]:
    """Join the options that a script lists with those that stand in its text, which knows more defaults.

    Args:
        listed: By its help.
        written: By its text; they stand for themselves where the help lists none.
    """
    known = {option.key: option for option in written}
    joined = []
    for option in listed:
        own = known.get(option.key)
        changes = {
            name: getattr(own, name) for name in ("default", "choices") if own and getattr(option, name) in (None, ())
        }
        joined.append(option.model_copy(update=changes))
    return tuple(joined or written)
