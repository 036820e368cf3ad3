"""Every mutation and every field of the embedded server's schema, asked with anything: a clear answer, never a 500."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    get_named_type,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multistage.wandb_server.nodes import encode_node
from multistage.wandb_server.schema import load_schema
from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

FUZZ = settings(max_examples=120, deadline=10_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCHEMA = load_schema()
SECRET = "another project's 7f3a"

NODES = [
    encode_node("Run", "mine", "fuzz", "local"),
    encode_node("Run", "nobody", "fuzz", "local"),
    encode_node("Artifact", 1),
    encode_node("Artifact", "manifest", 1),
    encode_node("Collection", 1),
    encode_node("Collection", 2),
    encode_node("File", 1),
    encode_node("Artifact", 10**30),
    encode_node("Agent", "nobody"),
    "\x00",
    "=",
    "Run:v1:mine:fuzz:local",
]

any_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
texts = st.sampled_from([*NODES, "fuzz", "local", "mine", "{}", "[]", "running", "../x", "v0", "latest", "%", "'"])
texts |= st.text(max_size=12) | any_json.map(json.dumps)


def draw_input(kind: GraphQLNamedType) -> st.SearchStrategy[Any]:
    """What passes for an argument of a type, or nearly."""
    match kind:
        case GraphQLInputObjectType():
            fields = {name: draw_argument(field.type) for name, field in kind.fields.items()}
            return st.fixed_dictionaries({}, optional=fields)
        case GraphQLEnumType():
            return st.sampled_from(sorted(kind.values))
        case GraphQLScalarType(name="Int" | "Int64"):
            return st.integers(-5, 2**66)
        case GraphQLScalarType(name="Boolean"):
            return st.booleans()
        case _:
            return texts


def draw_argument(kind: Any) -> st.SearchStrategy[Any]:
    """An argument: mostly of its type, as a list where it is one, sometimes anything."""
    inner = draw_input(get_named_type(kind))
    return (st.lists(inner, max_size=2) if "[" in str(kind) else inner) | any_json


def list_leaves(kind: GraphQLNamedType) -> str:
    """A selection of everything that an object holds, one level deep."""
    if not isinstance(kind, GraphQLObjectType):
        return ""
    names = []
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if field.args and any(str(argument.type).endswith("!") for argument in field.args.values()):
            continue
        if isinstance(inner, GraphQLObjectType):
            leaves = [
                leaf
                for leaf, below in inner.fields.items()
                if isinstance(get_named_type(below.type), GraphQLScalarType) and not below.args
            ]
            names.append(f"{name} {{{' '.join(leaves) or '__typename'}}}")
        else:
            names.append(name if isinstance(inner, GraphQLScalarType) else f"{name} {{__typename}}")
    return f"{{{' '.join(names)}}}"


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A request for one field of the query, of the mutation, or of an object within the project ``fuzz``."""
    within = draw(st.sampled_from(["Mutation", "Mutation", "Query", "Project", "Run"]))
    parent = SCHEMA.type_map[within]
    assert isinstance(parent, GraphQLObjectType)
    name = draw(st.sampled_from(sorted(parent.fields)))
    field = parent.fields[name]
    values = {key: draw(draw_argument(argument.type)) for key, argument in field.args.items() if draw(st.booleans())}
    declared = ", ".join(f"${key}: {field.args[key].type}" for key in values)
    given_ = ", ".join(f"{key}: ${key}" for key in values)
    asked = f"{name}{f'({given_})' if given_ else ''} {list_leaves(get_named_type(field.type))}"
    wrapped = {
        "Project": f'project(name: "fuzz") {{{asked}}}',
        "Run": f'project(name: "fuzz") {{run(name: "mine") {{{asked}}}}}',
    }.get(within, asked)
    kind = "mutation" if within == "Mutation" else "query"
    return f"{kind} Q{f'({declared})' if declared else ''} {{{wrapped}}}", values


@pytest.fixture(scope="module")
def session(wandb_server: ServerProcess) -> Iterator[Session]:
    with Session(wandb_server) as session:
        session.start_run("fuzz", "mine", config='{"lr": {"value": 0.1}}')
        session.log("fuzz", "mine", 0, {"x": 1})
        for project in ("secret", "fuzz2"):
            session.start_run(project, "theirs", config=json.dumps({"secret": {"value": SECRET}}), notes=SECRET)
            session.log(project, "theirs", 0, {"x": SECRET})
        yield session
        for project in ("secret", "fuzz2"):
            assert session.read_history(project, "theirs") == [{"_step": 0, "x": SECRET}]


@FUZZ
@given(question=questions())
def test_any_question(session: Session, question: tuple[str, dict[str, Any]]) -> None:
    query, variables = question
    status, answer = session.try_to_ask(query, **variables)
    assert status in (200, 400, 404, 413), (query, variables, answer)
    assert SECRET not in json.dumps(answer)
    session.start_run("fuzz", "mine")


@FUZZ
@given(
    project=st.sampled_from(["fuzz", "secret", "none", "a%2Fb", "%00", "fuzz%20"]),
    run=st.sampled_from(["mine", "theirs2", "%2e%2e", "x" * 300]),
    name=st.sampled_from(["wandb-history.jsonl", "wandb-summary.json", "wandb-events.jsonl", "output.log", "other"])
    | st.text(max_size=8),
    chunk=any_json
    | st.fixed_dictionaries(
        {
            "offset": st.integers(-2, 2**33),
            "content": st.lists(st.text(max_size=30) | any_json.map(json.dumps), max_size=3),
        }
    ),
    more=st.dictionaries(st.sampled_from(["complete", "exitcode", "preempting", "dropped", "uploaded"]), any_json),
)
def test_any_file_stream(session: Session, project: str, run: str, name: str, chunk: Any, more: dict[str, Any]) -> None:
    body = json.dumps({"files": {name: chunk}, **more}).encode()
    status, answer = session.send("POST", f"/files/local/{project}/{run}/file_stream", body)
    assert status in (200, 400, 404), (body, answer)
    assert SECRET.encode() not in answer
    assert session.send("GET", "/healthz")[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH"])
@FUZZ
@given(
    path=st.sampled_from(["/storage/runs/", "/storage/blobs/", "/files/", "/", "/local/"]),
    rest=st.text(alphabet="0123456789abc/.%_-\u00e9 ", max_size=30),
)
def test_any_path(session: Session, method: str, path: str, rest: str) -> None:
    from urllib.parse import quote

    status, answer = session.send(method, path + quote(rest), b"{}" if method != "GET" else None)
    assert status < 500, (path, rest, answer)
    assert SECRET.encode() not in answer or "secret" in rest
