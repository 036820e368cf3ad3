"""What the names in a program's text are, where nobody gives them on its command line."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

Value = bool | str


class Defaults(NamedTuple):
    """What a text tells of its names; of several places the outermost, and then the first, counts."""

    values: dict[str, Value]
    """Of options, fields, parameters, entries and variables."""
    meanings: dict[str, ast.expr]
    """Expressions that variables stand for."""


def read_defaults(tree: ast.Module) -> Defaults:
    """Read what the names of a program are."""
    values: dict[str, Value] = {}
    meanings: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        for name, value in _list_declared(node):
            if isinstance(value, ast.Constant):
                values.setdefault(name, value.value if isinstance(value.value, str) else bool(value.value))
            elif isinstance(node, ast.Assign):
                meanings.setdefault(name, value)
    return Defaults(values, {name: value for name, value in meanings.items() if name not in values})


def _list_declared(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, _unwrap(value)
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant):
                    yield str(key.value), value
        case ast.arguments(args=args, defaults=defaults, kwonlyargs=only, kw_defaults=only_defaults):
            paired = [
                *zip(args[len(args) - len(defaults) :], defaults, strict=True),
                *zip(only, only_defaults, strict=True),
            ]
            yield from ((argument.arg, _unwrap(value)) for argument, value in paired if value is not None)
        case ast.Call(
            func=ast.Attribute(attr="DEFINE_bool" | "DEFINE_boolean"), args=[ast.Constant() as name, value, *_]
        ):
            yield str(name.value), value
        case ast.Call(args=[ast.Constant(value=str()), *_]):
            yield from _read_option(node)


def _read_option(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """Read an option of argparse's or click's, with what it is where it is not given."""
    words = [str(one.value) for one in call.args if isinstance(one, ast.Constant)]
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    named = next((word for word in words if word.startswith("--")), None)
    if named is None:
        return
    target = keywords.get("dest")
    name = str(target.value) if isinstance(target, ast.Constant) else named.split("/")[0].lstrip("-").replace("-", "_")
    match keywords.get("action"), keywords.get("default"):
        case _, ast.expr() as default:
            yield name, default
        case ast.Constant(value="store_true" | "store_false" as action), None:
            yield name, ast.Constant(value=action == "store_false")


def _unwrap(value: ast.expr) -> ast.expr:
    """Return the default within ``field(default=False)``, ``Field(False)`` or ``typer.Option(False)``."""
    if not isinstance(value, ast.Call):
        return value
    named = [keyword.value for keyword in value.keywords if keyword.arg == "default"]
    return next(iter([*named, *value.args]), value)
