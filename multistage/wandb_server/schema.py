"""The schema that clients ask by, and what a request asks that is not in it."""

from importlib.resources import files
from typing import Any, NamedTuple

from graphql import (
    SKIP,
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    NamedTypeNode,
    TypeInfo,
    TypeInfoVisitor,
    TypeNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    build_schema,
    get_named_type,
    is_input_object_type,
    parse_type,
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


def retype_variables(schema: GraphQLSchema, document: DocumentNode) -> DocumentNode:
    """Declare each variable by the type of what it is given to.

    Clients name types that this server does not have, and could name one that takes anything; the resolvers rely on the
    arguments' own.
    """
    info = TypeInfo(schema)
    wanted: dict[str, str] = {}
    visit(document, TypeInfoVisitor(info, _Uses(info, wanted)))
    declared: DocumentNode = visit(document, _Declarations(schema, wanted))
    return declared


class _Uses(Visitor):
    def __init__(self, info: TypeInfo, wanted: dict[str, str]) -> None:
        super().__init__()
        self.info, self.wanted = info, wanted

    def enter_variable_definition(self, *_: Any) -> Any:
        return SKIP

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        kind = self.info.get_input_type()
        if kind is not None and (node.name.value not in self.wanted or is_input_object_type(get_named_type(kind))):
            self.wanted[node.name.value] = str(kind)


class _Declarations(Visitor):
    def __init__(self, schema: GraphQLSchema, wanted: dict[str, str]) -> None:
        super().__init__()
        self.schema, self.wanted = schema, wanted

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> Any:
        declared = _get_name(node.type)
        wanted = self.wanted.get(node.variable.name.value, declared if declared in self.schema.type_map else "JSON")
        if declared == _get_name(parse_type(wanted)):
            return None
        return VariableDefinitionNode(
            variable=node.variable,
            type=parse_type(wanted),
            default_value=node.default_value,
            directives=node.directives,
        )


def _get_name(node: TypeNode) -> str:
    while not isinstance(node, NamedTypeNode):
        node = node.type  # type: ignore[attr-defined]
    return node.name.value


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
