"""Every GraphQL document that the client ships, held against the schema: whole, or refused on purpose."""

from pathlib import Path

import pytest
import wandb
from graphql import GraphQLObjectType, GraphQLSchema, validate

from multistage.wandb_server.executor import Executor
from multistage.wandb_server.schema import list_unknown, load_schema
from multistage.wandb_server.web_app import RESOLVERS, _merge
from tests.server_process import ServerProcess
from tests.wandb_server import refusals
from tests.wandb_server.client_documents import Shipped, list_documents
from tests.wandb_server.server_requests import Session

DOCUMENTS = list_documents(Path(wandb.__file__).parent)
PASSED_OVER = ("is never used", "Unknown fragment")
"""Of a document that the client completes with another."""


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return load_schema()


def list_faults(schema: GraphQLSchema, shipped: Shipped) -> list[str]:
    if shipped.document is None:
        return []
    errors = [error.message for error in validate(schema, shipped.document, max_errors=50)]
    return [error for error in errors if not any(words in error for words in PASSED_OVER)]


def test_the_client_ships_documents_in_all_its_parts() -> None:
    folders = {shipped.where.split("/")[0] for shipped in DOCUMENTS}
    assert {"bin", "apis", "sdk"} <= folders
    assert len(DOCUMENTS) > 140


def test_every_document_is_whole_or_refused_on_purpose(schema: GraphQLSchema) -> None:
    in_part = {shipped.name: faults[0] for shipped in DOCUMENTS if (faults := list_faults(schema, shipped))}
    assert {name: fault for name, fault in in_part.items() if name not in refusals.DOCUMENTS} == {}
    assert sorted(set(refusals.DOCUMENTS) - set(in_part)) == [], "these work, and need no reason any more"


def test_every_refused_document_is_refused_by_name(wandb_server: ServerProcess, schema: GraphQLSchema) -> None:
    with Session(wandb_server) as session:
        for shipped in DOCUMENTS:
            if shipped.name in refusals.DOCUMENTS and shipped.document is not None and list_faults(schema, shipped):
                unknown = list_unknown(schema, shipped.document)
                assert unknown, shipped
        status, answer = session.try_to_ask("query Q {project(name: null) {runQueues {id}}}")
    assert status == 400
    assert answer["errors"][0]["message"] == 'Cannot query field "runQueues" on type "Project".'


def test_what_the_client_puts_together_is_asked_by_a_test() -> None:
    composed = {shipped.name for shipped in DOCUMENTS if shipped.document is None}
    assert composed == set(refusals.COMPOSED)
    for name in refusals.COMPOSED.values():
        assert (Path(__file__).parent / name).exists()


def test_every_root_field_of_the_schema_is_answered() -> None:
    executor = Executor(_merge(RESOLVERS))
    for root in ("Query", "Mutation"):
        kind = executor.schema.type_map[root]
        assert isinstance(kind, GraphQLObjectType)
        assert [name for name, field in kind.fields.items() if field.resolve is None] == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{viewer {brandNew}}", 'Cannot query field "brandNew" on type "User".'),
        ("{viewer {teams {edges {node {brandNew {id}}}}}}", 'Cannot query field "brandNew" on type "Entity".'),
        ("{viewer {...A}} fragment A on User {id brandNew}", 'Cannot query field "brandNew" on type "User".'),
        ("{project(name: null, colour: 1) {id}}", 'Unknown argument "colour" on field "Query.project".'),
        ("subscription {runs {id}}", "This server has no subscriptions."),
        (
            'mutation {deleteRun(input: {id: "x", force: true}) {clientMutationId}}',
            "'DeleteRunInput' not to include unknown field 'force'",
        ),
    ],
)
def test_the_unknown_is_refused_by_name_wherever_it_stands(
    wandb_server: ServerProcess, query: str, message: str
) -> None:
    with Session(wandb_server) as session:
        _, answer = session.try_to_ask(query)
        assert message in answer["errors"][0]["message"]


def test_types_of_newer_servers_and_what_is_null_are_passed_over(wandb_server: ServerProcess) -> None:
    query = """query Q($new: BrandNewInput) {viewer {id ... on BrandNew {field}}}"""
    with Session(wandb_server) as session:
        assert set(session.ask(query, new={"a": 1})["viewer"]) == {"id"}
        start = "mutation M($input: UpsertBucketInput!) {upsertBucket(input: $input) {bucket {name}}}"
        asked = {"modelName": "nulls", "name": "run", "brandNew": None}
        assert session.ask(start, input=asked)["upsertBucket"]["bucket"]["name"] == "run"
        status, answer = session.try_to_ask(start, input={**asked, "brandNew": 1})
    assert status == 400
    assert "brandNew" in answer["errors"][0]["message"]
