"""The schema that clients ask by, and what a request asks that is not in it."""

from importlib.resources import files
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    visit,
)

PARTS = ("schema.graphql", "artifacts.graphql")


def load_schema() -> GraphQLSchema:
    """What this server answers."""
    return build_schema("\n".join(files(__package__).joinpath(name).read_text() for name in PARTS))


class Unknown(NamedTuple):
    """A field or an argument that this server does not have.

    Args:
        what: Its type and name, ``Run.brandNew``.
        message: What is wrong, in the words of W&B's servers: clients look for them.
    """

    what: str
    message: str


def list_unknown(schema: GraphQLSchema, document: DocumentNode) -> list[Unknown]:
    """What a document asks that this server does not have, in its order; fields of unknown types are not looked at."""
    info = TypeInfo(schema)
    finder = _Finder(info)
    visit(document, TypeInfoVisitor(info, finder))
    return finder.found


class _Finder(Visitor):
    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.found: list[Unknown] = []

    def enter_operation_definition(self, node: Any, *_: Any) -> None:
        if self.info.get_type() is None:
            what = f"{node.operation.value}s"
            self.found.append(Unknown(what, f"This server has no {what}."))

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent, name = self.info.get_parent_type(), node.name.value
        if parent is None:
            return
        what, field = f"{parent.name}.{name}", self.info.get_field_def()
        if field is None:
            self.found.append(Unknown(what, f'Cannot query field "{name}" on type "{parent.name}".'))
            return
        for argument in node.arguments or ():
            given = argument.name.value
            if given not in field.args:
                self.found.append(Unknown(f"{what}({given})", f'Unknown argument "{given}" on field "{what}".'))
