"""The key of a sweep's workers opens that sweep and nothing else: a table of every field and every route."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from multistage.wandb_server import worker_scope
from multistage.wandb_server.credentials import make_worker_key, read_worker_key
from multistage.wandb_server.executor import Executor
from multistage.wandb_server.lifecycle import Timing
from multistage.wandb_server.nodes import encode_node
from multistage.wandb_server.pages.login_links import LOGIN_PATH
from multistage.wandb_server.web_app import build_app, open_state
from multistage.wandb_server.worker_scope import WORK_PATH
from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

UID = "abcd1234"
OWN, OTHER = "own", "foreign"
SCHEMA = Executor({}).schema

Given = dict[str, Any]


class Place(NamedTuple):
    """A project with one sweep's runs, another sweep of it, and another project."""

    sweep: str
    rival: str
    agent: str
    rival_agent: str
    foreign: str
    artifact: str
    foreign_artifact: str
    manifest: str
    foreign_manifest: str


def make_sweep(session: Session, project: str, name: str) -> str:
    config = f"name: {name}\nmethod: custom\nparameters: {{x: {{value: 1}}}}\n"
    node = session.make_sweep(project, config)
    session.ask(
        'mutation M($id: ID!) {enqueueSweepRun(input: {id: $id, config: "{}"}) {id}}',
        id=node,
    )
    return base64.b64decode(node).decode().split(":")[2]


def make_agent(session: Session, project: str, sweep: str) -> str:
    answer = session.ask(
        "mutation M($i: CreateAgentInput!) {createAgent(input: $i) {agent {id}}}",
        i={"host": "h", "projectName": project, "sweep": sweep},
    )
    return str(answer["createAgent"]["agent"]["id"])


def make_artifact(session: Session, project: str) -> str:
    answer = session.ask("mutation M($i: JSON!) {createArtifact(input: $i) {artifact {id}}}", i=describe(project))
    return str(answer["createArtifact"]["artifact"]["id"])


def make_manifest(session: Session, artifact: str) -> str:
    query = "mutation M($i: JSON!) {createArtifactManifest(input: $i) {artifactManifest {id}}}"
    answer = session.ask(query, i=describe_manifest(artifact))
    return str(answer["createArtifactManifest"]["artifactManifest"]["id"])


def describe_manifest(artifact: str, **more: Any) -> Given:
    return {"artifactID": artifact, "name": "m", "digest": "d", "projectName": OWN, **more}


def describe(project: str, **more: Any) -> Given:
    return {
        "projectName": project,
        "artifactTypeName": "model",
        "artifactCollectionName": "weights",
        "digest": "d",
        "clientID": f"client-{project}",
        **more,
    }


@pytest.fixture(scope="module")
def place(wandb_server: ServerProcess) -> Place:
    with Session(wandb_server) as session:
        sweep, rival = make_sweep(session, OWN, f"mine stage 1 ({UID})"), make_sweep(session, OWN, "another (ffff0000)")
        foreign = make_sweep(session, OTHER, "third (eeee0000)")
        for project in (OWN, OTHER):
            session.start_run(project, "fold")
        session.start_run(OWN, "trained", sweep=sweep)
        session.start_run(OWN, "theirs", sweep=rival)
        agents = make_agent(session, OWN, sweep), make_agent(session, OWN, rival)
        artifacts = make_artifact(session, OWN), make_artifact(session, OTHER)
        manifests = (make_manifest(session, one) for one in artifacts)
        return Place(sweep, rival, *agents, foreign, *artifacts, *manifests)


@pytest.fixture
def worker(place: Place, wandb_server: ServerProcess) -> Iterator[Session]:
    with Session(wandb_server, make_worker_key(wandb_server.key, UID)) as session:
        yield session


class Row(NamedTuple):
    """What may be asked of a field, and what not."""

    query: str
    allowed: Callable[[Place], list[Given]] = lambda _: []
    refused: Callable[[Place], list[Given]] = lambda _: [{}]


def mutate(name: str, kind: str, answer: str) -> str:
    return f"mutation M($i: {kind}) {{{name}(input: $i) {{{answer}}}}}"


def inputs(*given: Given) -> list[Given]:
    return [{"i": one} for one in given]


def run_id(project: str, name: str) -> str:
    return encode_node("Run", name, project, "local")


COLLECTION = {"entityName": "local", "projectName": OWN, "artifactCollectionName": "weights", "tags": []}
PARTS = {"completeMultipartAction": "Complete", "completedParts": [], "storagePath": "p", "uploadID": "u"}
CLOSED_TO_WORKERS: dict[str, Given] = {
    "createCustomChart": {
        "entity": "local", "name": "c", "displayName": "c", "type": "vega2", "access": "private", "spec": "{}"
    },
    "createArtifactCollectionTagAssignments": COLLECTION,
    "deleteArtifactCollectionTagAssignments": COLLECTION,
    "deleteArtifactPortfolio": {"artifactPortfolioID": "x"},
    "deleteArtifactSequence": {"artifactSequenceID": "x"},
    "updateArtifactPortfolio": {"artifactPortfolioID": "x", "name": "n"},
    "updateArtifactSequence": {"artifactSequenceID": "x", "name": "n"},
    "moveArtifactSequence": {"artifactSequenceID": "x", "destinationArtifactTypeName": "n"},
    "linkArtifact": {"entityName": "local", "projectName": OWN, "artifactPortfolioName": "n"},
    "unlinkArtifact": {"artifactID": "x", "artifactPortfolioID": "x"},
}  # fmt: skip
"""What an owner does with artifacts and people, and no training."""


def refuse_always(given: Given) -> Callable[[Place], list[Given]]:
    return lambda _: inputs(given)


ARTIFACT = "artifact {id}"
TABLE: dict[str, Row] = {
    "viewer": Row("{viewer {id entity}}", lambda _: [{}], lambda _: []),
    "serverInfo": Row("{serverInfo {features {name}}}", lambda _: [{}], lambda _: []),
    "entity": Row("{entity {id name}}", lambda _: [{}], lambda _: []),
    "models": Row("{models {edges {node {name}}}}"),
    "model": Row(
        "query Q($p: String) {model(name: $p) {id}}", lambda _: [{"p": OWN}], lambda _: [{"p": OTHER}, {"p": "none"}]
    ),
    "project": Row(
        "query Q($p: String) {project(name: $p) {id runs {edges {node {name}}} sweeps {edges {node {name}}}}}",
        lambda _: [{"p": OWN}],
        lambda _: [{"p": OTHER}, {"p": "none"}],
    ),
    "artifact": Row(
        "query Q($a: ID!) {artifact(id: $a) {id}}",
        lambda place: [{"a": place.artifact}],
        lambda place: [{"a": place.foreign_artifact}],
    ),
    "clientIDMapping": Row(
        "query Q($c: ID!) {clientIDMapping(clientID: $c) {serverID}}",
        lambda _: [{"c": f"client-{OWN}"}],
        lambda _: [{"c": f"client-{OTHER}"}],
    ),
    "upsertModel": Row(
        mutate("upsertModel", "UpsertModelInput!", "inserted"),
        refused=lambda _: inputs({"name": OWN, "description": "x"}, {"name": "new"}),
    ),
    "upsertSweep": Row(
        mutate("upsertSweep", "UpsertSweepInput!", "sweep {id}"),
        refused=lambda place: inputs(
            {"projectName": OWN, "config": f"name: x ({UID})\nmethod: custom"},
            {"id": encode_node("Sweep", place.sweep, OWN, "local"), "state": "CANCELED"},
        ),
    ),
    "enqueueSweepRun": Row(
        mutate("enqueueSweepRun", "EnqueueSweepRunInput!", "id"),
        refused=lambda place: inputs({"id": encode_node("Sweep", place.sweep, OWN, "local"), "config": "{}"}),
    ),
    "createAgent": Row(
        mutate("createAgent", "CreateAgentInput!", "agent {id}"),
        lambda place: inputs({"host": "h", "projectName": OWN, "sweep": place.sweep}),
        lambda place: inputs(
            {"host": "h", "projectName": OWN, "sweep": place.rival},
            {"host": "h", "projectName": OTHER, "sweep": place.foreign},
            {"host": "h", "projectName": OTHER, "sweep": place.sweep},
        ),
    ),
    "agentHeartbeat": Row(
        mutate("agentHeartbeat", "AgentHeartbeatInput!", "commands"),
        lambda place: inputs({"id": place.agent, "runState": '{"some": true}'}),
        lambda place: inputs({"id": place.rival_agent}, {"id": "nothing"}),
    ),
    "upsertBucket": Row(
        mutate("upsertBucket", "UpsertBucketInput!", "bucket {id}"),
        lambda place: inputs(
            {"modelName": OWN, "name": "another-fold"},
            {"modelName": OWN, "name": "trained", "sweep": place.sweep},
            {"id": run_id(OWN, "trained"), "notes": "x"},
        ),
        lambda place: inputs(
            {"modelName": OTHER, "name": "fold"},
            {"modelName": OTHER, "name": "new"},
            {"modelName": "new-project", "name": "new"},
            {"modelName": OTHER, "name": "trained", "sweep": place.sweep},
            {"modelName": OWN, "name": "theirs"},
            {"modelName": OWN, "name": "stray", "sweep": place.rival},
            {"id": run_id(OWN, "theirs"), "notes": "x"},
            {"id": run_id(OTHER, "fold"), "notes": "x"},
        ),
    ),
    "stopRun": Row(mutate("stopRun", "IdInput!", "success"), refused=lambda _: inputs({"id": run_id(OWN, "trained")})),
    "deleteRun": Row(
        mutate("deleteRun", "IdInput!", "clientMutationId"), refused=lambda _: inputs({"id": run_id(OWN, "trained")})
    ),
    "updateRunState": Row(
        mutate("updateRunState", "UpdateRunStateInput!", "success"),
        refused=lambda _: inputs({"id": run_id(OWN, "fold"), "state": "failed"}),
    ),
    **{
        name: Row(
            mutate(name, "RunFilesInput!", answer),
            lambda _: inputs({"projectName": OWN, "runName": "trained", "files": ["a"]}),
            lambda _: inputs(
                {"projectName": OWN, "runName": "theirs", "files": ["a"]},
                {"projectName": OTHER, "runName": "fold", "files": ["a"]},
            ),
        )
        for name, answer in (("createRunFiles", "runID"), ("markRunFilesUploaded", "success"))
    },
    "deleteFiles": Row(mutate("deleteFiles", "DeleteFilesInput!", "success"), refused=lambda _: inputs({"files": []})),
    "createArtifact": Row(
        mutate("createArtifact", "JSON!", ARTIFACT),
        lambda _: inputs(describe(OWN, runName="trained"), describe(OWN)),
        lambda _: inputs(describe(OTHER), describe("new"), describe(OWN, runName="theirs")),
    ),
    **{
        name: Row(
            mutate(name, "JSON!", ARTIFACT),
            lambda place: inputs({"artifactID": place.artifact}),
            lambda place: inputs({"artifactID": place.foreign_artifact}),
        )
        for name in ("commitArtifact", "updateArtifact")
    },
    "createArtifactManifest": Row(
        mutate("createArtifactManifest", "JSON!", "artifactManifest {id}"),
        lambda place: inputs(describe_manifest(place.artifact)),
        lambda place: inputs(
            describe_manifest(place.foreign_artifact),
            describe_manifest(place.artifact, baseArtifactID=place.foreign_artifact),
        ),
    ),
    "updateArtifactManifest": Row(
        mutate("updateArtifactManifest", "JSON!", "artifactManifest {id}"),
        lambda place: inputs({"artifactManifestID": place.manifest}),
        lambda place: inputs(
            {"artifactManifestID": place.foreign_manifest},
            {"artifactManifestID": place.manifest, "baseArtifactID": place.foreign_artifact},
        ),
    ),
    "completeMultipartUploadArtifact": Row(
        mutate("completeMultipartUploadArtifact", "JSON!", "digest"),
        refused=lambda place: inputs({**PARTS, "artifactID": place.foreign_artifact}),
    ),
    "notifyScriptableRunAlert": Row(
        mutate("notifyScriptableRunAlert", "JSON!", "success"),
        lambda _: inputs({"entityName": "local", "projectName": OWN, "runName": "trained", "title": "t", "text": "x"}),
        lambda _: inputs(
            {"entityName": "local", "projectName": OWN, "runName": "theirs", "title": "t", "text": "x"},
            {"entityName": "local", "projectName": OTHER, "runName": "fold", "title": "t", "text": "x"},
        ),
    ),
    "rewindRun": Row(
        mutate("rewindRun", "JSON!", "rewoundRun {id}"),
        refused=lambda _: inputs(
            {"projectName": OWN, "runName": "theirs", "metricName": "_step", "metricValue": 0.0},
            {"projectName": OTHER, "runName": "fold", "metricName": "_step", "metricValue": 0.0},
        ),
    ),
    **{
        name: Row(mutate(name, "JSON!", "__typename"), refused=refuse_always(given))
        for name, given in CLOSED_TO_WORKERS.items()
    },
    "users": Row("query Q {users {__typename}}"),
    "artifactCollection": Row(
        'query Q {artifactCollection(id: "QXJ0aWZhY3RDb2xsZWN0aW9uOjE=") {id}}', refused=lambda _: [{}]
    ),
    "createArtifactFiles": Row(
        mutate("createArtifactFiles", "JSON!", "files {edges {node {id}}}"),
        lambda place: inputs({"artifactFiles": [{"artifactID": place.artifact, "name": "a", "md5": "0" * 32}]}),
        lambda place: inputs(
            {
                "artifactFiles": [
                    {"artifactID": one, "name": "a", "md5": "0" * 32}
                    for one in (place.artifact, place.foreign_artifact)
                ]
            }
        ),
    ),
    "useArtifact": Row(
        mutate("useArtifact", "JSON!", ARTIFACT),
        lambda place: inputs(
            {"artifactID": place.artifact, "entityName": "local", "projectName": OWN, "runName": "trained"}
        ),
        lambda place: inputs(
            {"artifactID": place.foreign_artifact, "projectName": OWN, "runName": "trained"},
            {"artifactID": place.artifact, "projectName": OTHER, "runName": "fold"},
        ),
    ),
    "deleteArtifact": Row(
        mutate("deleteArtifact", "JSON!", ARTIFACT), refused=lambda place: inputs({"artifactID": place.artifact})
    ),
    "addAliases": Row(
        mutate("addAliases", "JSON!", "success"),
        lambda place: inputs(
            {"artifactID": place.artifact, "aliases": [{"artifactCollectionName": "weights", "alias": "a"}]}
        ),
        lambda place: inputs(
            {"artifactID": place.foreign_artifact, "aliases": [{"artifactCollectionName": "weights", "alias": "a"}]},
            {
                "artifactID": place.artifact,
                "aliases": [{"artifactCollectionName": "weights", "alias": "a", "projectName": OTHER}],
            },
        ),
    ),
    "deleteAliases": Row(
        mutate("deleteAliases", "JSON!", "success"),
        refused=lambda place: inputs({"artifactID": place.artifact, "aliases": []}),
    ),
}


def test_the_table_has_every_field_of_the_schema() -> None:
    assert SCHEMA.query_type is not None
    assert SCHEMA.mutation_type is not None
    assert set(TABLE) == {*SCHEMA.query_type.fields, *SCHEMA.mutation_type.fields}


@pytest.mark.parametrize("name", TABLE)
def test_a_field_is_open_for_the_sweep_and_closed_for_all_else(name: str, place: Place, worker: Session) -> None:
    row = TABLE[name]
    for given in row.refused(place):
        status, answer = worker.try_to_ask(row.query, **given)
        assert (status, answer.get("data")) == (403, None), (given, answer)
    for given in row.allowed(place):
        status, answer = worker.try_to_ask(row.query, **given)
        said = json.dumps(answer.get("errors", ""))
        assert status == 200 or "manifest was not uploaded" in said, (given, answer)


def test_no_field_below_leads_into_another_project(place: Place, worker: Session) -> None:
    for query in (
        f'{{artifact(id: "{place.artifact}") {{usedBy {{edges {{node {{id}}}}}}}}}}',
        f'{{project(name: "{OWN}") {{run(name: "trained") {{inputArtifacts {{edges {{node {{id}}}}}}}}}}}}',
    ):
        assert worker.try_to_ask(query)[0] == 403


def test_rows_of_own_runs_are_taken_and_no_others(place: Place, worker: Session) -> None:
    worker.log(OWN, "trained", 0, {"x": 1})
    worker.log(OWN, "fold", 0, {"x": 1})
    for project, run in ((OWN, "theirs"), (OTHER, "fold")):
        status, _ = worker.send("POST", f"/files/local/{project}/{run}/file_stream", b"{}")
        assert status == 403


def test_every_other_route_is_closed(wandb_server: ServerProcess, worker: Session) -> None:
    wanted = {
        "/healthz": 200,
        "/graphql": 400,
        "/files/{entity}/{project}/{run}/file_stream": 404,
        "/sdk/otel/v1/{signal}": 200,
        WORK_PATH: 200,
        LOGIN_PATH: 401,  # as for any stranger
    }
    for route in list_routes(wandb_server):
        path = route.path.replace("{signal}", "logs")
        for name in ("entity", "project", "run", "sweep", "version", "name", "run_id:path", "digest:path", "name:path"):
            path = path.replace(f"{{{name}}}", "x")
        method = "POST" if "POST" in (route.methods or ()) and "GET" not in (route.methods or ()) else "GET"
        status, _ = worker.send(method, path, b"{}" if method == "POST" else None)
        expected = wanted.get(route.path, 403)
        assert status == expected, (method, path, status)


def list_routes(server: ServerProcess) -> list[Route]:
    """The routes of a server of the same code."""
    folder = server.home / "routes"
    folder.mkdir()
    state = open_state(folder, Timing())
    try:
        app = build_app(state).app  # type: ignore[attr-defined]
        assert isinstance(app, Starlette)
        return [route for route in app.routes if isinstance(route, Route)]
    finally:
        state.store.close()


def test_a_key_that_was_not_made_here_opens_nothing(wandb_server: ServerProcess, place: Place) -> None:
    genuine = make_worker_key(wandb_server.key, UID)
    for forged in (
        make_worker_key("0" * 40, UID),
        genuine.replace(UID, place.rival),
        genuine[:-1],
        "worker--",
        genuine + "0",
    ):
        with Session(wandb_server, forged) as session:
            assert session.send("POST", "/graphql", b'{"query": "{viewer {id}}"}')[0] == 401
    assert read_worker_key(f"Basic {base64.b64encode(b'api:worker-').decode()}", "key") is None


def test_a_key_may_name_one_sweep_by_its_id(wandb_server: ServerProcess, place: Place) -> None:
    row = TABLE["createAgent"]
    with Session(wandb_server, make_worker_key(wandb_server.key, place.rival)) as session:
        assert session.try_to_ask(row.query, **row.refused(place)[0])[0] == 200
        assert session.try_to_ask(row.query, **row.allowed(place)[0])[0] == 403


def test_a_key_ends_with_its_sweep_once_late_uploads_are_in(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = open_state(tmp_path_factory.mktemp("late"), Timing())
    store, now = state.store, store_time()
    with store.transaction():
        project = store.insert("projects", entity="local", name="p", created_at=now)
        old = now - int((worker_scope.LATE + 60) * 1e6)
        values = {"project_id": project, "config": "name: a (beef)", "created_at": old, "updated_at": old}
        store.insert("sweeps", name="s1", state="FINISHED", **values)
        second = store.insert("sweeps", name="s2", state="RUNNING", **values)
    try:
        found = worker_scope.read_scope(store, "beef")
        assert found is not None
        assert found.sweeps == {"s1", "s2"}
        store.update("sweeps", second, state="FINISHED", updated_at=now)
        assert worker_scope.read_scope(store, "beef") is not None, "late uploads are refused"
        store.update("sweeps", second, updated_at=old)
        assert worker_scope.read_scope(store, "beef") is None
        run = {"project_id": project, "name": "r", "sweep": "s2", "state": "finished", "created_at": old}
        row = store.insert("runs", heartbeat_at=now, **run)
        assert worker_scope.read_scope(store, "beef") is not None, "a run was heard a moment ago"
        store.update("runs", row, heartbeat_at=old)
        assert worker_scope.read_scope(store, "beef") is None
    finally:
        store.close()


def store_time() -> int:
    return int(time.time() * 1e6)
