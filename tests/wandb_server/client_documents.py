"""Every GraphQL document that an installed W&B client ships: its Python's, and those within wandb-core."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from graphql import DocumentNode, GraphQLError, parse

BEGIN = re.compile(r"\b(?:query|mutation|subscription)\s+\w+\s*(?:\([^{}]*\)\s*)?\{")
FRAGMENT = re.compile(r"\s*fragment \w+ on \w+ \{")
PLACEHOLDERS = ("_PROJECT_QUERY_",)
"""What the client itself replaces before it asks."""


class Shipped(NamedTuple):
    """A document of the client.

    Args:
        where: The file that it stands in, within the package.
        name: Its operation's name.
        document: What is asked; None where the client puts it together as it runs.
    """

    where: str
    name: str
    document: DocumentNode | None


def list_documents(package: Path) -> list[Shipped]:
    """All of them, in a package's folder."""
    core = package / "bin" / "wandb-core"
    found = [("bin/wandb-core", text) for text in _cut_core(core.read_bytes().decode("latin-1"))]
    for path in sorted(package.rglob("*.py")):
        if "vendor" not in path.parts:
            found.extend((path.relative_to(package).as_posix(), text) for text in _list_texts(path))
    return [_parse(where, text) for where, text in found]


def _parse(where: str, text: str) -> Shipped:
    begin = re.search(r"\b(?:query|mutation|subscription)\s+(\w+)", text)
    assert begin is not None
    for placeholder in PLACEHOLDERS:
        text = text.replace(placeholder, "")
    try:
        document = parse(text)
    except GraphQLError:
        return Shipped(where, begin[1], None)
    return Shipped(where, begin[1], document)


def _list_texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and BEGIN.search(node.value):
            yield node.value


def _cut_core(text: str) -> Iterator[str]:
    for begin in BEGIN.finditer(text):
        end = _close(text, begin.start())
        while fragment := FRAGMENT.match(text, end):
            end = _close(text, fragment.start())
        yield text[begin.start() : end]


def _close(text: str, start: int) -> int:
    depth = 0
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0 and text[position] == "}":
            return position + 1
    raise AssertionError(f"no end: {text[start : start + 80]!r}")
