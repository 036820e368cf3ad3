"""The key of a sweep's workers opens that sweep and nothing else: a table of every field and every route."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from multistage.wandb_server import worker_scope
from multistage.wandb_server.credentials import make_worker_key, read_worker_key
from multistage.wandb_server.executor import Executor
from multistage.wandb_server.lifecycle import Timing
from multistage.wandb_server.pages.login_links import LOGIN_PATH
from multistage.wandb_server.web_app import build_app, open_state
from multistage.wandb_server.worker_scope import WORK_PATH
from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session
from tests.wandb_server.wandb_clients import run_script
from tests.wandb_server.worker_key_table import OTHER, OWN, TABLE, UID, Place, describe, describe_manifest

SCHEMA = Executor({}).schema


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


def make_artifact(session: Session, project: str, **more: str) -> str:
    query = "mutation M($i: JSON!) {createArtifact(input: $i) {artifact {id}}}"
    answer = session.ask(query, i=describe(project, **more))
    return str(answer["createArtifact"]["artifact"]["id"])


def make_manifest(session: Session, artifact: str) -> str:
    query = "mutation M($i: JSON!) {createArtifactManifest(input: $i) {artifactManifest {id}}}"
    answer = session.ask(query, i=describe_manifest(artifact))
    return str(answer["createArtifactManifest"]["artifactManifest"]["id"])


def make_whole_artifact(session: Session, project: str) -> str:
    artifact = make_artifact(session, project, artifactCollectionName="linked", clientID=f"linked-{project}")
    query = "mutation M($i: JSON!) {createArtifactManifest(input: $i) {artifactManifest {file {uploadUrl}}}}"
    made = session.ask(query, i=describe_manifest(artifact))["createArtifactManifest"]["artifactManifest"]
    upload(session, made["file"]["uploadUrl"], b'{"version": 1, "contents": {}}')
    session.ask("mutation M($i: JSON!) {commitArtifact(input: $i) {artifact {id}}}", i={"artifactID": artifact})
    return artifact


def link_elsewhere(session: Session, artifact: str, project: str) -> str:
    """Link a version into another project's collection; returns the collection's id."""
    query = (
        "mutation M($i: LinkArtifactInput!) {linkArtifact(input: $i) {artifactMembership {artifactCollection {id}}}}"
    )
    target = {"entityName": "local", "projectName": project, "artifactPortfolioName": "elsewhere"}
    answer = session.ask(query, i={"artifactID": artifact, **target})
    return str(answer["linkArtifact"]["artifactMembership"]["artifactCollection"]["id"])


def upload(session: Session, url: str, content: bytes) -> None:
    parts = urlsplit(url)
    assert session.send("PUT", f"{parts.path}?{parts.query}", content, {})[0] == 200


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
        manifests = make_manifest(session, artifacts[0]), make_manifest(session, artifacts[1])
        whole = make_whole_artifact(session, OWN)
        return Place(
            sweep, rival, *agents, foreign, *artifacts, *manifests, whole, link_elsewhere(session, whole, OTHER)
        )


@pytest.fixture
def worker(place: Place, wandb_server: ServerProcess) -> Iterator[Session]:
    with Session(wandb_server, make_worker_key(wandb_server.key, UID)) as session:
        yield session


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


@pytest.mark.usefixtures("place")
def test_a_link_into_another_project_names_it_and_tells_no_more(wandb_server: ServerProcess, worker: Session) -> None:
    with Session(wandb_server) as owner:
        own, foreign = make_whole_artifact(owner, OWN), make_whole_artifact(owner, OTHER)
        for artifact, project in ((own, OTHER), (foreign, OWN)):
            target = {"entityName": "local", "projectName": project, "artifactPortfolioName": "best"}
            query = "mutation M($i: LinkArtifactInput!) {linkArtifact(input: $i) {versionIndex}}"
            owner.ask(query, i={"artifactID": artifact, **target})
    lists = "{edges {node {%s}}}"
    for deeper in ("project {runs %s}", "project {sweeps %s}", "artifacts %s"):
        query = "artifactMemberships" + lists % f"artifactCollection {{{deeper % (lists % 'id')}}}"
        assert worker.try_to_ask(f'{{artifact(id: "{own}") {{{query}}}}}')[0] == 403, query
    names = "artifactMemberships" + lists % "artifactCollection {name project {name entityName}}"
    found = worker.ask(f'{{artifact(id: "{own}") {{{names}}}}}')["artifact"]["artifactMemberships"]["edges"]
    assert {edge["node"]["artifactCollection"]["project"]["name"] for edge in found} == {OWN, OTHER}


CURATING = """
import json, wandb
with wandb.init(project={project!r}, id="trained", resume="allow") as run:
    artifact = wandb.Artifact("curated", type="model")
    with artifact.new_file("w.txt") as file:
        file.write("w")
    run.log_artifact(artifact, aliases=["prod", "best"]).wait()
    artifact.aliases.remove("prod")
    artifact.save()
    run.link_artifact(artifact, "chosen")
print(json.dumps(sorted(artifact.aliases)))
"""


@pytest.mark.usefixtures("place")
def test_a_training_moves_aliases_and_links_its_versions(wandb_server: ServerProcess, tmp_path: Path) -> None:
    environment = {**wandb_server.environment, "WANDB_API_KEY": make_worker_key(wandb_server.key, UID)}
    assert run_script(environment, tmp_path, CURATING.format(project=OWN)) == ["best", "latest"]
    with Session(wandb_server) as owner:
        query = f'{{project(name: "{OWN}") {{artifactCollections {{edges {{node {{name}}}}}}}}}}'
        found = owner.ask(query)["project"]["artifactCollections"]["edges"]
    assert "chosen" in {edge["node"]["name"] for edge in found}


@pytest.mark.usefixtures("place")
def test_a_file_of_another_sweeps_run_is_not_replaced(wandb_server: ServerProcess, worker: Session) -> None:
    with Session(wandb_server) as owner:
        made = owner.ask(
            "mutation M($i: CreateRunFilesInput!) {createRunFiles(input: $i) {files {uploadUrl}}}",
            i={"entityName": "local", "projectName": OWN, "runName": "theirs", "files": ["a.txt"]},
        )
        upload(owner, made["createRunFiles"]["files"][0]["uploadUrl"], b"content")
    asked = '{project(name: "%s") {run(name: "theirs") {files(names: ["a.txt"]) {edges {node {name url%s}}}}}}'
    assert worker.try_to_ask(asked % (OWN, ""))[0] == 200
    assert worker.try_to_ask(asked % (OWN, "(upload: true)"))[0] == 403


def test_a_run_of_another_sweep_is_not_rewound(worker: Session) -> None:
    query = TABLE["rewindRun"].query
    given = {"projectName": OWN, "runName": "fold", "metricName": "_step", "metricValue": 0.0}
    assert worker.try_to_ask(query, i=given)[0] == 403


def test_a_variable_that_names_another_type_is_checked_as_what_it_is_for(worker: Session) -> None:
    for kind in ("JSON!", "Unknown!", "String!", "CreateArtifactInput!"):
        query = f"mutation M($i: {kind}) {{createArtifact(input: $i) {{artifact {{id}}}}}}"
        status, answer = worker.try_to_ask(query, i={"projectName": OWN})
        assert status != 500
        assert "artifactTypeName" in str(answer["errors"]), answer


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
