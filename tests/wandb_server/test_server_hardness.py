"""What no client should send, and what no server should do about it."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

FUZZ = settings(max_examples=30, deadline=10_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
RUNS = (
    'query Q($f: JSONString, $o: String, $a: String, $n: Int) {project(name: "fuzz") {runCount(filters: $f) '
    "runs(filters: $f, order: $o, after: $a, first: $n) {edges {node {name}}}}}"
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
filter_keys = st.sampled_from(
    [
        "$and",
        "$or",
        "$nor",
        "$not",
        "name",
        "state",
        "tags",
        "config.lr",
        "config.a.b.value",
        "summary_metrics.x",
        'summary_metrics.a"b',
        "heartbeatAt",
        "createdAt",
        "sweep",
        "drop table runs",
    ]
) | st.text(max_size=12)
operators = st.sampled_from(
    ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$regex", "$exists", "$not", "$where"]
)
filters = st.recursive(
    json_values | st.dictionaries(operators, json_values, min_size=1, max_size=2),
    lambda inner: st.dictionaries(filter_keys, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def session(wandb_server: ServerProcess) -> Iterator[Session]:
    with Session(wandb_server) as session:
        session.start_run("fuzz", "mine", config='{"lr": {"value": 0.1}}')
        session.start_run("secret", "theirs", config='{"lr": {"value": 0.1}}')
        yield session


@FUZZ
@given(
    text=st.text(alphabet='{}()[]$:!@."query mutation fragment on Run project runs edges node id name', max_size=200)
)
def test_any_text_as_query(session: Session, text: str) -> None:
    status, _ = session.try_to_ask(text)
    assert status in (200, 400)


@FUZZ
@given(body=st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body(session: Session, body: bytes) -> None:
    for path in ("/graphql", "/files/local/fuzz/mine/file_stream", "/files/local/fuzz/none/file_stream"):
        status, _ = session.send("POST", path, body)
        assert status in (200, 400, 404), (path, body)


@FUZZ
@given(
    condition=filters,
    order=st.sampled_from(["", "+", "-config.a", "+summary_metrics.x", "x y", "-heartbeat_at"]),
    after=st.none() | st.text(max_size=20) | json_values.map(json.dumps),
    count=st.integers(-5, 5000),
)
def test_any_filter_stays_in_its_project(
    session: Session, condition: Any, order: str, after: str | None, count: int
) -> None:
    status, answer = session.try_to_ask(RUNS, f=json.dumps(condition), o=order, a=after, n=count)
    assert status in (200, 400), answer
    assert "theirs" not in json.dumps(answer)


@FUZZ
@given(
    offset=st.integers(-10, 2**40),
    row=json_values,
    summary=json_values,
    extra=st.dictionaries(st.sampled_from(["complete", "exitcode", "preempting", "x"]), json_values, max_size=2),
)
def test_any_report(session: Session, offset: int, row: Any, summary: Any, extra: dict[str, Any]) -> None:
    body = {
        "files": {
            "wandb-history.jsonl": {"offset": offset, "content": [json.dumps(row)]},
            "wandb-summary.json": {"offset": 0, "content": [json.dumps(summary)]},
            "output.log": {"offset": offset, "content": [str(row)]},
        },
        **extra,
    }
    status, _ = session.send("POST", "/files/local/fuzz/mine/file_stream", json.dumps(body).encode())
    assert status in (200, 400)
    assert session.ask(RUNS, f="{}", o="+summary_metrics.x", a=None, n=5)["project"]["runs"]["edges"]


@FUZZ
@given(
    values=st.dictionaries(
        st.sampled_from(
            [
                "id",
                "name",
                "modelName",
                "entityName",
                "displayName",
                "config",
                "summaryMetrics",
                "tags",
                "state",
                "sweep",
                "notes",
            ]
        ),
        json_values | st.sampled_from(["../../x", "a/b", "running", "{}", "[1]"]),
    )
)
def test_any_run(session: Session, values: dict[str, Any]) -> None:
    status, answer = session.try_to_ask(
        "mutation M($input: UpsertBucketInput!) {upsertBucket(input: $input) {bucket {id name displayName config "
        'summaryMetrics tags historyKeys history sampledHistory(specs: ["{}"])} inserted}}',
        input=values,
    )
    assert status in (200, 400, 404), answer


@FUZZ
@given(
    config=st.text(max_size=50)
    | json_values.map(json.dumps)
    | st.fixed_dictionaries(
        {
            "method": st.sampled_from(["grid", "random", "bayes", "custom"]),
            "parameters": st.dictionaries(
                st.text(max_size=5),
                st.dictionaries(
                    st.sampled_from(
                        [
                            "min",
                            "max",
                            "values",
                            "value",
                            "distribution",
                            "q",
                            "mu",
                            "sigma",
                            "a",
                            "b",
                            "probabilities",
                            "parameters",
                        ]
                    ),
                    json_values | st.sampled_from(["uniform", "q_log_uniform_values", "beta", "normal", "categorical"]),
                ),
            ),
        },
        optional={"metric": json_values, "early_terminate": json_values, "run_cap": json_values},
    ).map(json.dumps)
)
def test_any_sweep(session: Session, config: str) -> None:
    status, answer = session.try_to_ask(
        'mutation M($c: String) {upsertSweep(input: {projectName: "fuzz", config: $c}) '
        "{sweep {id method bestLoss runCountExpected}}}",
        c=config,
    )
    assert status in (200, 400), answer


def test_unknown_operation_is_named_and_logged_once(session: Session, wandb_server: ServerProcess) -> None:
    for _ in range(2):
        status, answer = session.try_to_ask("mutation {launchRocket(input: {}) {id}}")
        assert status == 400
        assert 'Cannot query field "launchRocket" on type "Mutation"' in answer["errors"][0]["message"]
    assert wandb_server.log.read_text().count("launchRocket") == 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{" + "a{" * 40 + "b" + "}" * 41, "nested 41 deep"),
        ("{" + "viewer{id} " * 3000 + "}", "more than 5000 tokens"),
        ("query {viewer {id}} #" + "x" * 100_001, "the limit is 100000"),
        ('{project(name: "fuzz") {...A}} fragment A on Project {runs {edges {node {project {...A}}}}}', "itself"),
    ],
)
def test_large_and_endless_queries_are_refused(session: Session, query: str, message: str) -> None:
    status, answer = session.try_to_ask(query)
    assert status == 400
    assert message in answer["errors"][0]["message"]


def test_query_that_multiplies_is_refused(session: Session) -> None:
    for index in range(60):
        session.start_run("many", f"run{index}")
    query = (
        '{project(name: "many") {runs(first: 60) {edges {node {project {runs(first: 60) {edges {node {project {'
        "runs(first: 60) {edges {node {id}}}}}}}}}}}}}"
    )
    status, answer = session.try_to_ask(query)
    assert status == 400
    assert "smaller pages" in answer["errors"][0]["message"]


def test_large_bodies_are_refused(session: Session, wandb_server: ServerProcess) -> None:
    with Session(wandb_server) as own:
        status, _ = own.send("POST", "/graphql", b" " * 21_000_000)
    assert status == 413


@pytest.mark.parametrize("key", ["", "0" * 40, "local"])
def test_nothing_without_the_key(wandb_server: ServerProcess, key: str) -> None:
    with Session(wandb_server, key) as stranger:
        for method, path in [
            ("POST", "/graphql"),
            ("POST", "/files/local/fuzz/mine/file_stream"),
            ("GET", "/"),
            ("GET", "/local/fuzz"),
            ("GET", "/storage/runs/1/config.yaml"),
            ("PUT", "/storage/runs/1/config.yaml?signature=" + "0" * 40),
            ("GET", "/no/such/page/at/all"),
        ]:
            status, answer = stranger.send(method, path, b"{}")
            assert status == 401, path
            assert b"key" in answer


def test_link_is_good_for_one_method_and_one_file(session: Session) -> None:
    session.start_run("links", "run")
    answer = session.ask(
        'mutation {createRunFiles(input: {projectName: "links", runName: "run", files: ["a"]}) {files {uploadUrl}}}'
    )
    path = answer["createRunFiles"]["files"][0]["uploadUrl"].partition("/storage")[2]
    stranger: dict[str, str] = {}
    assert session.send("PUT", f"/storage{path}", b"content", stranger)[0] == 200
    assert session.send("GET", f"/storage{path}", None, stranger)[0] == 401
    assert session.send("PUT", f"/storage{path.replace('/a?', '/b?')}", b"other", stranger)[0] == 401


@pytest.mark.parametrize("name", ["../../../escaped", "/etc/passwd", "a/../../b", "..", "C:\\x", "e" * 1000, "\u202e"])
def test_no_path_leaves_the_folder(session: Session, wandb_server: ServerProcess, name: str) -> None:
    run = f"run-{uuid.uuid4().hex[:6]}"
    session.start_run("paths", run)
    answer = session.ask(
        'mutation M($r: String!, $f: [String!]!) {createRunFiles(input: {projectName: "paths", runName: $r, '
        "files: $f}) "
        "{files {uploadUrl}}}",
        r=run,
        f=[name],
    )
    before = {path for path in wandb_server.home.rglob("*") if path.is_file()}
    path = answer["createRunFiles"]["files"][0]["uploadUrl"].partition("/storage")[2]
    assert session.send("PUT", f"/storage{path}", b"content", {})[0] == 200
    fresh = {path for path in wandb_server.home.rglob("*") if path.is_file()} - before
    assert [path.parent.parent.name for path in fresh] == ["runs"]
    assert all(path.is_relative_to(wandb_server.folder / "files") for path in fresh)


def test_pages_escape_what_runs_say(session: Session) -> None:
    session.start_run("pages", "evil", displayName="<script>alert(1)</script>", config='{"<b>": {"value": "<i>"}}')
    for path in ("/", "/local/pages", "/local/pages/runs/evil"):
        status, page = session.send("GET", path)
        assert status == 200
        assert b"<script>" not in page
        assert b"<i>" not in page
    assert session.send("GET", "/local/pages/runs/none")[0] == 404


def test_key_is_private_and_in_no_log(wandb_server: ServerProcess) -> None:
    assert (wandb_server.folder / "key").stat().st_mode & 0o777 == 0o600
    assert len(wandb_server.key) >= 40
    assert wandb_server.key not in wandb_server.log.read_text()


def test_second_server_on_the_same_folder_is_refused(wandb_server: ServerProcess, tmp_path: Path) -> None:
    second = ServerProcess(wandb_server.home)
    second.home = tmp_path
    with pytest.raises(RuntimeError, match="already serves"):
        second.start()


def test_regular_expressions_cannot_hang(session: Session) -> None:
    session.start_run("regex", "run", displayName="a" * 5000)
    assert session.list_runs("regex", {"display_name": {"$regex": "(a+)+$"}})
    assert not session.list_runs("regex", {"display_name": {"$regex": "(a+)+b"}})
    assert session.try_to_ask(RUNS, f='{"name": {"$regex": "("}}')[0] == 400
