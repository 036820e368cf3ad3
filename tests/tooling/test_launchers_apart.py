"""A launcher stands in its folder and a line of the registry; the rest asks it, and never guesses from its name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from multistage.launchers.registry import BUILT_IN

ROOT = Path(__file__).parents[2]
LAUNCHERS = ROOT / "multistage" / "launchers"
REGISTRY = LAUNCHERS / "registry.py"
CONTROLLERS = {"multistage/domain/sweep/sweep_config.py", "multistage/wandb_server/controllers.py"}
"""In a W&B sweep file ``local`` is a kind of controller."""


def list_files() -> Iterator[Path]:
    """Every file but those that may know a launcher."""
    for room in ("multistage", "flows", "tasks"):
        for path in sorted((ROOT / room).rglob("*.py")):
            is_own = any(path.is_relative_to(LAUNCHERS / name) for name in BUILT_IN)
            if not is_own and path != REGISTRY and not path.is_relative_to(ROOT / "multistage" / "pipeline"):
                yield path


def has_branch(tree: ast.AST) -> bool:
    """Whether something is compared with a launcher's name, or looked up in a table of such names."""
    nodes = list(ast.walk(tree))
    compared = [part for one in nodes if isinstance(one, ast.Compare) for part in (one.left, *one.comparators)]
    matched = [one.value for one in nodes if isinstance(one, ast.MatchValue)]
    return any(map(_names_launcher, (*compared, *matched)))


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


def has_import(tree: ast.AST) -> bool:
    """Whether a launcher's folder, or something of it, is imported."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [str(node.module), *(f"{node.module}.{one.name}" for one in node.names)]
    folders = tuple(f"multistage.launchers.{name}" for name in BUILT_IN)
    return any(f"{name}.".startswith(f"{folder}.") for name in names for folder in folders)


def test_nothing_branches_on_a_launchers_name() -> None:
    found = {str(path.relative_to(ROOT)) for path in list_files() if has_branch(ast.parse(path.read_text()))}
    assert found == CONTROLLERS


def test_nothing_imports_a_launcher() -> None:
    found = [path for path in list_files() if has_import(ast.parse(path.read_text()))]
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
    assert has_branch(ast.parse(line))


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
    assert has_import(ast.parse(line))
    assert not has_import(ast.parse("from multistage.launchers.registry import find_kind"))
