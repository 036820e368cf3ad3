"""GraphQL, as W&B's client speaks it.

A request is parsed and bounded, and every root field must exist: an unknown one is answered by an error that
names it. The rest is executed without further validation: a leaf field that this server does not know is left
out of the answer, as newer clients ask for fields that older servers lack.
"""

import logging
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.resources import files
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    MiddlewareManager,
    NamedTypeNode,
    NameNode,
    NoFragmentCyclesRule,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Visitor,
    build_schema,
    execute,
    parse,
    validate,
    visit,
)

from multistage.wandb_server.context import MAX_FIELDS, CostlyError, Request, Resolver, Resolvers
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.store import format_time

logger = logging.getLogger(__name__)

MAX_QUERY = 100_000
MAX_TOKENS = 5_000
MAX_DEPTH = 30
MAX_DOCUMENTS = 256
"""Parsed queries that are kept: clients ask the same ones again and again."""
DESCRIPTION_COST = 20
"""What a field of the schema's description of itself costs, in ordinary fields."""

IMPLEMENTATIONS = {"ArtifactCollection": "ArtifactSequence", "ArtifactCreator": "Run"}
"""The one type of each abstract type that this server has."""

SCALARS = {"JSONString": str, "DateTime": str, "Int64": int}
"""The types of the schema's own scalars in requests; JSON may be anything."""


@dataclass(frozen=True)
class Answer:
    """What goes back to the client."""

    body: dict[str, Any]
    status: int = 200


@dataclass(frozen=True)
class Question:
    """A query that can be executed."""

    document: DocumentNode
    operation: str | None
    writes: bool


@dataclass
class Executor:
    """Executes requests against ``schema.graphql``.

    Args:
        resolvers: The fields that are more than a column of their row.
    """

    resolvers: Resolvers
    schema: GraphQLSchema = field(init=False)
    _documents: dict[str, DocumentNode] = field(default_factory=dict)
    _reported: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.schema = build_schema(files(__package__).joinpath("schema.graphql").read_text())
        for name, kind in SCALARS.items():
            scalar = self.schema.type_map[name]
            assert isinstance(scalar, GraphQLScalarType)  # noqa: S101
            # graphql-core 3.3 calls it by its second name.
            for method in ("parse_value", "coerce_input_value"):
                setattr(scalar, method, partial(_check_scalar, name, kind))
        for type_name, fields in self.resolvers.items():
            object_type = self.schema.type_map[type_name]
            assert isinstance(object_type, GraphQLObjectType)  # noqa: S101
            for name, resolver in fields.items():
                object_type.fields[name].resolve = _adapt(resolver)

    def recall(self, query: str, operation: str | None) -> "Question | None":
        """A query that was asked before; None where :meth:`prepare` has to parse it, which may take a while."""
        document = self._documents.get(query)
        return None if document is None else self._choose(document, operation)

    def prepare(self, query: str, operation: str | None) -> "Question":
        """Parse and bound a query.

        Raises:
            GraphQLError: It is none, too large, or asks for what this server does not have.
        """
        document = _parse(query, self.schema)
        while len(self._documents) >= MAX_DOCUMENTS:
            self._documents.pop(next(iter(self._documents)), None)
        self._documents[query] = document
        return self._choose(document, operation)

    def _choose(self, document: DocumentNode, operation: str | None) -> "Question":
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        if operation:
            operations = [node for node in operations if node.name and node.name.value == operation]
        self._check_root(operations, document)
        writes = any(node.operation is OperationType.MUTATION for node in operations)
        return Question(document, operation or None, writes)

    def execute(
        self, question: "Question", variables: dict[str, Any], request: Request
    ) -> Answer | Coroutine[Any, Any, Answer]:
        """Answer one request; refusals and the client's mistakes are part of the answer, never exceptions.

        Returns:
            The answer; of a mutation that has to wait for something, a coroutine of it.
        """
        try:
            result = execute(
                self.schema,
                question.document,
                context_value=request,
                variable_values=variables,
                operation_name=question.operation,
                field_resolver=_read_column,
                type_resolver=lambda _, __, abstract: IMPLEMENTATIONS[abstract.name],
                middleware=METER,
            )
        except CostlyError:
            return _refuse_cost()
        return _describe(result) if isinstance(result, ExecutionResult) else _wait(result)

    def _check_root(self, operations: list[OperationDefinitionNode], document: DocumentNode) -> None:
        for node in operations:
            root = self.schema.get_root_type(node.operation)
            if root is None:
                raise GraphQLError(f"This server has no {node.operation.value}s.")
            for name in _list_fields(node.selection_set, document):
                if name not in root.fields and not name.startswith("__"):
                    self._report(f"{root.name}.{name}")
                    raise GraphQLError(f'Cannot query field "{name}" on type "{root.name}".')

    def _report(self, what: str) -> None:
        if what not in self._reported and len(self._reported) < 1000:
            self._reported.add(what)
            logger.warning("A client asked for %s, which this server does not have", what)


def _refuse_cost() -> Answer:
    message = f"The answer would hold more than {MAX_FIELDS} fields; ask for less at once."
    return Answer({"errors": [{"message": message}], "data": None}, 400)


async def _wait(result: Awaitable[ExecutionResult]) -> Answer:
    try:
        return _describe(await result)
    except CostlyError:
        return _refuse_cost()


def _describe(result: ExecutionResult) -> Answer:
    for failure in result.errors or []:
        match failure.original_error:
            case RefusedError(status=int(status)):
                return Answer({"errors": [failure.formatted], "data": None}, status)
            case RefusedError() | GraphQLError() | None:
                continue
            case unexpected:
                raise unexpected
    return Answer(dict(result.formatted), 400 if result.errors and result.data is None else 200)


def _meter(resolve: Resolver, source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    """Count a field before it is resolved; the schema's description of itself grows fastest, and nobody needs much."""
    kind = info.parent_type.name
    info.context.count_fields(DESCRIPTION_COST if kind.startswith("__") else 1)
    if info.context.worker is not None:
        info.context.check(kind, info.field_name, arguments)
    return resolve(source, info, **arguments)


METER = MiddlewareManager(_meter)


def _parse(query: str, schema: GraphQLSchema) -> DocumentNode:
    if len(query) > MAX_QUERY:
        raise GraphQLError(f"The query has {len(query)} characters; the limit is {MAX_QUERY}.")
    depth = deepest = 0
    for character in query:
        if character in "{[(":
            depth += 1
            deepest = max(depth, deepest)
        elif character in "}])":
            depth -= 1
    if deepest > MAX_DEPTH:
        raise GraphQLError(f"The query is nested {deepest} deep; the limit is {MAX_DEPTH}.")
    document = parse(query, no_location=True, max_tokens=MAX_TOKENS)
    if errors := validate(schema, document, [NoFragmentCyclesRule]):
        raise errors[0]
    substituted: DocumentNode = visit(document, _UnknownInputs(schema))
    return substituted


def _list_fields(selections: SelectionSetNode, document: DocumentNode) -> list[str]:
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    names: list[str] = []
    pending = [selections]
    seen: set[str] = set()
    while pending:
        for node in pending.pop().selections:
            match node:
                case FieldNode():
                    names.append(node.name.value)
                case InlineFragmentNode():
                    pending.append(node.selection_set)
                case FragmentSpreadNode() if node.name.value in fragments and node.name.value not in seen:
                    seen.add(node.name.value)
                    pending.append(fragments[node.name.value].selection_set)
    return names


class _UnknownInputs(Visitor):
    def __init__(self, schema: GraphQLSchema) -> None:
        super().__init__()
        self.known = schema.type_map

    def enter_variable_definition(self, node: Any, *_: Any) -> Any:
        inner = node.type
        while not isinstance(inner, NamedTypeNode):
            inner = inner.type
        if inner.name.value in self.known:
            return None
        # Its arguments are unknown as well; any value may pass.
        return type(node)(
            variable=node.variable,
            type=NamedTypeNode(name=NameNode(value="JSON")),
            default_value=node.default_value,
            directives=node.directives,
        )


def _check_scalar(name: str, kind: type, value: Any) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise GraphQLError(f"{name} cannot represent {str(value)[:60]!r}.")
    return value


def _adapt(resolver: Resolver) -> Resolver:
    def resolve(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        return resolver(source, info.context, **arguments)

    return resolve


def _read_column(source: Any, info: GraphQLResolveInfo[Any], **_: Any) -> Any:
    """Fields without a resolver: a key of a dict, or a column of a row with W&B's spelling of the name."""
    if isinstance(source, dict):
        return source.get(info.field_name)
    column = _to_column(info.field_name)
    value = source[column] if column in source.keys() else None  # noqa: SIM118 - a row iterates over values
    if column.endswith("_at") and isinstance(value, int):
        return format_time(value)
    return value


@lru_cache(maxsize=512)
def _to_column(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
