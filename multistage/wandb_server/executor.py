"""GraphQL, as W&B's client speaks it.

A request is parsed and bounded, and every field and argument that it names must exist: an unknown one is answered
by an error that names it, as W&B's own servers do. Types that this server does not know may be named: a variable
is checked as what its argument takes, whatever its type is called, and a fragment's condition is never met.
"""

import logging
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    MiddlewareManager,
    NoFragmentCyclesRule,
    OperationDefinitionNode,
    OperationType,
    execute,
    parse,
    validate,
)

from multistage.wandb_server.artifact_nodes import name_collection_type
from multistage.wandb_server.context import MAX_FIELDS, CostlyError, Request, Resolver, Resolvers
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.schema import list_unknown, load_schema, retype_variables
from multistage.wandb_server.store import format_time

logger = logging.getLogger(__name__)

MAX_QUERY = 100_000
MAX_TOKENS = 5_000
MAX_DEPTH = 30
MAX_DOCUMENTS = 256
"""Parsed queries that are kept: clients ask the same ones again and again."""
DESCRIPTION_COST = 20
"""What a field of the schema's description of itself costs, in ordinary fields."""

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
    """Executes requests against the schema.

    Args:
        resolvers: The fields that are more than a column of their row.
    """

    resolvers: Resolvers
    schema: GraphQLSchema = field(init=False)
    _documents: dict[str, DocumentNode] = field(default_factory=dict)
    _reported: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.schema = load_schema()
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
        document = _parse(query)
        if errors := validate(self.schema, document, [NoFragmentCyclesRule]):
            raise errors[0]
        for unknown in list_unknown(self.schema, document):
            self._report(unknown.what)
            raise GraphQLError(unknown.message)
        document = retype_variables(self.schema, document)
        while len(self._documents) >= MAX_DOCUMENTS:
            self._documents.pop(next(iter(self._documents)), None)
        self._documents[query] = document
        return self._choose(document, operation)

    def _choose(self, document: DocumentNode, operation: str | None) -> "Question":
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        if operation:
            operations = [node for node in operations if node.name and node.name.value == operation]
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
                variable_values=_drop_nulls(variables),
                operation_name=question.operation,
                field_resolver=_read_column,
                type_resolver=_name_type,
                middleware=METER,
            )
        except CostlyError:
            return _refuse_cost()
        return _describe(result) if isinstance(result, ExecutionResult) else _wait(result)

    def _report(self, what: str) -> None:
        if what not in self._reported and len(self._reported) < 1000:
            self._reported.add(what)
            logger.warning("A client asked for %s, which this server does not have", what)


def _drop_nulls(value: Any) -> Any:
    """Variables without what is null in their objects: clients send all that a newer server could take."""
    match value:
        case dict():
            return {key: _drop_nulls(inner) for key, inner in value.items() if inner is not None}
        case list():
            return [_drop_nulls(inner) for inner in value]
        case _:
            return value


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
        info.context.check(kind, info.field_name, source, arguments)
    return resolve(source, info, **arguments)


METER = MiddlewareManager(_meter)


def _parse(query: str) -> DocumentNode:
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
    return parse(query, no_location=True, max_tokens=MAX_TOKENS)


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


def _name_type(value: Any, _: Any, abstract: Any) -> str:
    """Which of its types an object of an abstract type is."""
    if abstract.name == "ArtifactCollection":
        return name_collection_type(value)
    return "User" if isinstance(value, dict) else "Run"


@lru_cache(maxsize=512)
def _to_column(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
