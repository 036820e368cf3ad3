"""What the text of a training script tells: its options, and what it reads from ``wandb.config``."""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from multistage.domain.model import Model
from multistage.domain.proposal.script_options import ScriptOption, Taking
from multistage.domain.runs.results import Value

_METHODS = ("as_dict", "get", "items", "keys", "persist", "setdefaults", "update", "update_locked", "values")
"""Of W&B's config."""
_WORDS: Mapping[str, tuple[str, ...]] = {
    "hydra": ("hydra.main", "@hydra", "OmegaConf.from_cli"),
    "configurator": ("configurator", "sys.argv"),
    "lightning": ("LightningCLI",),
}
"""What a script has in its text that takes its parameters in a style."""


_READERS = re.compile(
    r"arg|click|tyro|absl|hydra|fire|typer|cli\b|CLI|OmegaConf|flags|options|simple_parsing|docopt|draccus"
)
"""What a script has in its text that reads its command line; too many words rather than too few."""


class ScriptSource(Model):
    """What was read."""

    options: tuple[ScriptOption, ...] = ()
    reads: dict[str, Value | None] = Field(default_factory=dict)
    """What it reads from W&B's config by name, and the value that it has itself; None where it has none."""
    logs: tuple[str, ...] = ()
    """Keys that it logs, as far as they are written out."""
    takes_words: bool = True
    """Whether it may read its command line: whether it names a library for that, or where that cannot be told."""
    styles: tuple[str, ...] = ()
    """In which it seems to take its parameters; empty where nothing is said."""


def read_source(text: str) -> ScriptSource:
    """Read a script's text; nothing of one that is no Python.

    Args:
        text: Of its main file.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ScriptSource()
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    options = [option for call in calls if (option := _read_option(call))]
    return ScriptSource(
        options=tuple({option.key: option for option in options}.values()),
        reads=_ConfigReads(tree).found,
        logs=tuple(dict.fromkeys(key for call in calls for key in _list_logged(call))),
        takes_words=not text or _READERS.search(text) is not None,
        styles=tuple(style for style, words in _WORDS.items() if any(word in text for word in words)),
    )


def _read_option(call: ast.Call) -> ScriptOption | None:
    """Read ``add_argument("--name", ...)``, ``@click.option("--name", ...)`` or ``flags.DEFINE_float("name", ...)``."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    texts = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    words = {word.arg: word.value for word in call.keywords if word.arg}
    if function.startswith("DEFINE_") and texts and len(call.args) > 1:
        return ScriptOption(name=texts[0], default=_read_plain(call.args[1]))
    names = [text for text in texts if text.startswith("--") and len(text) > 2]
    if function not in ("add_argument", "option") or not names:
        return None
    name, slash, _ = names[0].partition("/")
    choices = _read_constant(words.get("choices"))
    return ScriptOption(
        name=name.strip().lstrip("-"),
        taking="pair" if slash else _infer_taking(words),
        default=_read_plain(words.get("default")),
        choices=tuple(choice for choice in choices if isinstance(choice, Value))
        if isinstance(choices, list | tuple)
        else (),
    )


def _infer_taking(words: Mapping[str, ast.expr]) -> Taking:
    action = ast.unparse(words["action"]) if "action" in words else ""
    if "BooleanOptionalAction" in action:
        return "pair"
    return "switch" if "store_" in action or _read_constant(words.get("is_flag")) is True else "value"


def _read_plain(node: ast.expr | None) -> Value | None:
    value = _read_constant(node)
    return value if isinstance(value, Value) else None


def _read_constant(node: ast.expr | None) -> Any:
    """Return what is written out; None for what is computed."""
    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _list_logged(call: ast.Call) -> Iterator[str]:
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "log" and call.args):
        return
    first = call.args[0]
    if isinstance(first, ast.Dict):
        yield from (key.value for key in first.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
    elif isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield first.value


class _ConfigReads(ast.NodeVisitor):
    """Finds what is read from ``wandb.config``, from that of a run that ``wandb.init`` gave, or by another name of it.

    Args:
        tree: The script.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.found: dict[str, Value | None] = {}
        self._runs = {"wandb", "run"}
        self._aliases: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._take_name(node.targets[0].id, node.value)
        self.visit(tree)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Take ``config.name``."""
        if self._is_config(node.value) and isinstance(node.ctx, ast.Load) and node.attr not in _METHODS:
            self._note(node.attr)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Take ``config["name"]``."""
        if self._is_config(node.value) and isinstance(node.ctx, ast.Load):
            self._note(_read_constant(node.slice))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Take ``config.get("name", value)``."""
        is_get = isinstance(node.func, ast.Attribute) and node.func.attr == "get" and self._is_config(node.func.value)
        if is_get and node.args:
            self._note(_read_constant(node.args[0]), _read_plain(node.args[1]) if len(node.args) > 1 else None)
        self.generic_visit(node)

    def _take_name(self, name: str, value: ast.expr) -> None:
        """Note what a name stands for: a run, a config, or a config with values of the script's own below it."""
        if isinstance(value, ast.Call) and ast.unparse(value.func) in ("wandb.init", "init"):
            self._runs.add(name)
        within = [node for node in ast.walk(value) if self._is_config(node)]
        is_merged = isinstance(value, ast.BinOp | ast.Dict) or (isinstance(value, ast.Call) and bool(value.args))
        if not within or not (self._is_config(value) or is_merged):
            return
        self._aliases.add(name)
        for node in ast.walk(value):
            if isinstance(node, ast.Dict):
                for key, own in zip(node.keys, node.values, strict=True):
                    if key is not None:
                        self._note(_read_constant(key), _read_plain(own))

    def _is_config(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self._aliases
        if not (isinstance(node, ast.Attribute) and node.attr == "config"):
            return False
        return ast.unparse(node.value) in (*self._runs, "wandb.run")

    def _note(self, name: Any, value: Value | None = None) -> None:
        if isinstance(name, str) and self.found.get(name) is None:
            self.found[name] = value
