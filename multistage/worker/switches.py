"""What a program's text asks before it begins a run with wandb: the option or the setting that must be turned on."""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from multistage.worker.source_defaults import Defaults, Value, read_defaults

OFF_MODES = ("offline", "disabled", "dryrun")
DEEPEST = 3
"""Names that stand for an expression are followed so often."""
LOGGING = 3
"""The rank of what comes after the beginning of a run."""

_ABOUT = re.compile(r"wandb|weights_and_biases", re.IGNORECASE)
_TRACKING = re.compile(rf"{_ABOUT.pattern}|track|(?:^|[_.])log(?:ging)?(?:$|[_.])|report_to", re.IGNORECASE)
_FOUND_OUT = re.compile(r"(?:^|_)(?:has|is|can)_|available|installed|imported", re.IGNORECASE)
"""Names of what a program finds out by itself."""
_BEGINNING = re.compile("init|setup|start|logger|callback|writer", re.IGNORECASE)


class Switch(NamedTuple):
    """A name in a condition before wandb's run begins."""

    name: str
    """As settings are given, ``logging.wandb.enabled``."""
    wanted: Value
    """The value with which the run begins."""
    default: Value | None
    """Its value where nobody gives one; None where the text does not tell."""

    @property
    def is_about_tracking(self) -> bool:
        """Whether it is named for wandb, or for tracking or logging at all."""
        return bool(_TRACKING.search(self.name)) or self.wanted == "wandb"

    @property
    def is_off(self) -> bool:
        """Whether it is what keeps a run from beginning, where nobody gives it."""
        return self.default != self.wanted and (self.default is not None or self.is_about_tracking)


def list_switches(text: str) -> list[Switch]:
    """List what a program's text asks before it begins a run with wandb, what is most likely to be meant first.

    A text that is none of this Python's has none.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return []
    reader = _Reader(read_defaults(tree))
    found = [
        (guard.rank, switch)
        for guard in sorted(_list_guards(tree), key=lambda guard: guard.rank)
        for switch in reader.read(guard.test, guard.wanted)
        if guard.rank < LOGGING or _ABOUT.search(switch.name)
    ]
    switches = dict.fromkeys(switch for _, switch in found)
    return sorted(switches, key=lambda one: (not one.is_about_tracking, one.default is None))


def find_flag(text: str, name: str) -> str | None:
    """Return the option by which a name is turned on from the command line; None where the text declares none."""
    pattern = name.replace("_", "[-_]")
    declared = re.search(rf"""["'](--{pattern})["'/]""", text)
    if declared:
        return declared[1]
    field = re.search(rf"^\s+{re.escape(name)}\s*:\s*bool\b", text, re.MULTILINE)
    return f"--{name.replace('_', '-')}" if field else None


class _Guard(NamedTuple):
    rank: int
    """How near it is to the beginning of a run: 0 is around ``wandb.init`` itself."""
    test: ast.expr
    wanted: bool


class _Reader:
    """Reads conditions.

    Args:
        defaults: What the names in them are.
    """

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults

    def read(self, test: ast.expr, wanted: bool, depth: int = 0) -> Iterator[Switch]:
        """List the switches in a condition that must have a value."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield from self.read(operand, not wanted, depth)
            case ast.BoolOp(values=values):
                for value in values:
                    yield from self.read(value, wanted, depth)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                yield from self._read_comparison(left, op, right, wanted, depth)
            case ast.Call(func=ast.Name(id="bool" | "str2bool" | "strtobool" | "int"), args=[inner, *_]):
                yield from self.read(inner, wanted, depth)
            case ast.Name(id=name) if name in self._defaults.meanings and depth < DEEPEST:
                yield from self.read(self._defaults.meanings[name], wanted, depth + 1)
            case _:
                yield from self._name(test, wanted)

    def _read_comparison(
        self, left: ast.expr, op: ast.cmpop, right: ast.expr, wanted: bool, depth: int
    ) -> Iterator[Switch]:
        match left, op, right:
            case _, ast.Eq() | ast.Is(), ast.Constant(value=bool() | None as value):
                yield from self.read(left, wanted == bool(value), depth)
            case _, ast.NotEq() | ast.IsNot(), ast.Constant(value=bool() | None as value):
                yield from self.read(left, wanted != bool(value), depth)
            case _, ast.Eq(), ast.Constant(value=str() as named) if wanted:
                yield from self._name(left, named)
            case ast.Constant(value=str() as named), ast.In(), _ if wanted:
                yield from self._name(right, named)

    def _name(self, node: ast.expr, wanted: Value) -> Iterator[Switch]:
        words = read_path(node)
        if not words or words == ["wandb"] or words[:2] == ["os", "environ"] or _FOUND_OUT.search(words[-1]):
            return
        # What settings belong to (args, self.cfg) is no part of their names.
        own = words[2:] if words[0] in ("self", "cls") and len(words) > 2 else words[1:] or words
        yield Switch(".".join(own), wanted, self._defaults.values.get(own[-1]))


def read_path(node: ast.expr) -> list[str]:
    """Return the words of a name, an attribute, a subscript or ``get``; empty for other expressions."""
    match node:
        case ast.Name(id=name):
            return [name]
        case ast.Attribute(value=value, attr=name):
            words, base = [name], value
        case ast.Subscript(value=value, slice=ast.Constant(value=str() as name)):
            words, base = [name], value
        case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[ast.Constant(value=str() as name), *_]):
            words, base = [name], value
        case ast.Call(func=ast.Name(id="getattr"), args=[value, ast.Constant(value=str() as name), *_]):
            words, base = [name], value
        case _:
            return []
    before = read_path(base)
    return [*before, *words] if before else []


def _list_guards(tree: ast.Module) -> Iterator[_Guard]:
    """List the conditions under which things of wandb's happen."""
    stack: list[tuple[ast.AST, tuple[tuple[ast.expr, bool], ...]]] = [(tree, ())]
    while stack:
        node, tests = stack.pop()
        rank = _rank_use(node)
        if rank is not None:
            yield from (_Guard(rank, *test) for test in reversed(tests))
            yield from _read_mode(node)
        stack += [(child, (*tests, *added)) for child, added in _list_children(node)]


def _list_children(node: ast.AST) -> Iterator[tuple[ast.AST, Sequence[tuple[ast.expr, bool]]]]:
    """List a node's children, each with the conditions that it adds."""
    match node:
        case ast.If(test=test, body=body, orelse=orelse):
            yield from _list_statements(body, [(test, True)])
            yield from _list_statements(orelse, [(test, False)])
        case ast.IfExp(test=test, body=value, orelse=other):
            yield from ((value, [(test, True)]), (other, [(test, False)]))
        case ast.BoolOp(op=ast.And(), values=values):
            yield from ((value, [(before, True) for before in values[:at]]) for at, value in enumerate(values))
        case ast.Module(body=body) | ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body):
            yield from _list_statements(body, [])
        case _:
            yield from ((child, ()) for child in ast.iter_child_nodes(node))


def _list_statements(
    body: Sequence[ast.stmt], tests: Sequence[tuple[ast.expr, bool]]
) -> Iterator[tuple[ast.AST, Sequence[tuple[ast.expr, bool]]]]:
    """List statements; those below one that may leave come only when it does not."""
    passed = list(tests)
    for statement in body:
        yield statement, tuple(passed)
        match statement:
            case ast.If(test=test, body=[*_, ast.Return() | ast.Continue()], orelse=[]):
                passed.append((test, False))


def _rank_use(node: ast.AST) -> int | None:
    """Rank how near a node is to the beginning of a run with wandb; None where it has nothing to do with it."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="wandb"), attr="init")):
            return 0
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if _ABOUT.search(name):
            return 1 if _BEGINNING.search(name) else LOGGING
        case ast.Import(names=names) if any(_ABOUT.search(alias.name) for alias in names):
            return 2
        case ast.ImportFrom(module=str() as module) if _ABOUT.search(module):
            return 2
        case ast.Name(id="wandb"):
            return LOGGING
    return None


def _read_mode(node: ast.AST) -> Iterator[_Guard]:
    """Read ``wandb.init(mode="online" if args.wandb else "disabled")``."""
    for keyword in node.keywords if isinstance(node, ast.Call) else ():
        match keyword:
            case ast.keyword(arg="mode", value=ast.IfExp(test=test, body=body, orelse=orelse)):
                for value, wanted in ((body, False), (orelse, True)):
                    if isinstance(value, ast.Constant) and value.value in OFF_MODES:
                        yield _Guard(0, test, wanted)
