"""A launcher stands in its folder and a line of the registry; the rest asks it, and never guesses from its name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from multistage.launchers.registry import BUILT_IN

ROOT = Path(__file__).parents[2]
LAUNCHERS = ROOT / "multistage" / "launchers"
REGISTRY = LAUNCHERS / "registry.py"
OPTIONS = {"multistage/cli/flags.py", "multistage/domain/preferences.py", "multistage/request/preferences.py"}
"""They still say which options are whose, until each option is declared with its launcher."""
CONTROLLERS = {"multistage/domain/sweep_config.py", "multistage/wandb_server/controllers.py"}
"""In a W&B sweep file ``local`` is a kind of controller."""


def list_files() -> Iterator[Path]:
    """Every file but those that may know a launcher."""
    for room in ("multistage", "flows", "tasks"):
        for path in sorted((ROOT / room).rglob("*.py")):
            is_own = any(path.is_relative_to(LAUNCHERS / name) for name in BUILT_IN)
            if not is_own and path != REGISTRY and not path.is_relative_to(ROOT / "multistage" / "pipeline"):
                yield path


def find_branches(tree: ast.AST) -> Iterator[int]:
    """Lines that compare something with a launcher's name, or look it up in a table of such names."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others, lineno=line) if any(map(_names_launcher, (left, *others))):
                yield line
            case ast.MatchValue(value=ast.expr() as value) if _names_launcher(value):
                yield value.lineno


def _names_launcher(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            return text in BUILT_IN
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return any(map(_names_launcher, parts))
        case ast.Dict(keys=keys):
            return any(key is not None and _names_launcher(key) for key in keys)
        case _:
            return False


def find_imports(tree: ast.AST) -> Iterator[int]:
    """Lines that import a launcher's folder or something of it."""
    folders = tuple(f"multistage.launchers.{name}" for name in BUILT_IN)
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names = [one.name for one in node.names]
            case ast.ImportFrom():
                names = [str(node.module), *(f"{node.module}.{one.name}" for one in node.names)]
            case _:
                continue
        if any(name == folder or name.startswith(f"{folder}.") for name in names for folder in folders):
            yield node.lineno


def test_nothing_branches_on_a_launchers_name() -> None:
    found = {str(path.relative_to(ROOT)) for path in list_files() if any(find_branches(ast.parse(path.read_text())))}
    assert found - CONTROLLERS <= OPTIONS


def test_nothing_imports_a_launcher() -> None:
    found = [path for path in list_files() if any(find_imports(ast.parse(path.read_text())))]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        'if options.launcher == "modal": pass',
        'if "local" != name: pass',
        'if name in ("modal", "other"): pass',
        'match name:\n    case "local": pass',
    ],
)
def test_a_branch_is_found(line: str) -> None:
    assert list(find_branches(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "import multistage.launchers.modal",
        "from multistage.launchers import local",
        "from multistage.launchers.modal.prices import GPU_PRICES",
        "def later():\n    from multistage.launchers.local.gpus import find_gpus",
    ],
)
def test_an_import_is_found(line: str) -> None:
    assert list(find_imports(ast.parse(line)))
    assert not list(find_imports(ast.parse("from multistage.launchers.registry import find_kind")))
