"""Attacks and loads: whatever comes, `/healthz` is answered, and the log stays short."""

import contextlib
import json
import resource
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

PROMPT = 3.0
"""Seconds in which the server must answer while other tests keep the machine busy; `benchmarks/server.py` measures it
on a quiet one, where half a second is the aim. What these attacks once cost were 8 to 73 s, or no answer at all."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("attacked")) as server:
        yield server
        assert "Traceback" not in server.log.read_text()


@pytest.fixture
def session(server: ServerProcess) -> Iterator[Session]:
    # A busy machine may take half a minute to store a million lines.
    with Session(server, timeout=120) as session:
        session.start_run("load", "run")
        yield session


def ask_health(server: ServerProcess) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(f"{server.url}/healthz", timeout=20) as answer:  # noqa: S310
        assert answer.status == 200
    return time.perf_counter() - began


def measure_health(server: ServerProcess, attack: Callable[[], object]) -> float:
    """The slowest answer while an attack goes on."""
    thread = threading.Thread(target=attack)
    thread.start()
    slowest = ask_health(server)
    while thread.is_alive():
        slowest = max(slowest, ask_health(server))
        thread.join(0.02)
    return slowest


def knock(server: ServerProcess, text: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(text)
    return connection


def test_a_million_console_lines_do_not_hold_the_loop(server: ServerProcess, session: Session) -> None:
    lines = {"files": {"output.log": {"offset": 0, "content": ["x"] * 1_000_000}}}
    status = []
    body = json.dumps(lines).encode()
    attack = lambda: status.append(session.send("POST", "/files/local/load/run/file_stream", body)[0])  # noqa: E731
    assert measure_health(server, attack) < PROMPT
    assert status == [200]
    answer = session.ask('{project(name: "load") {run(name: "run") {logLineCount}}}')
    assert answer["project"]["run"]["logLineCount"] == 1_000_000


@pytest.mark.parametrize(
    "query",
    [
        "{" + " ".join(f"a{n}: __schema {{types {{fields {{type {{fields {{name}}}}}}}}}}" for n in range(40)) + "}",
        "{__schema {types " + "{fields {type " * 10 + "{name}" + "}}" * 10 + "}}",
    ],
)
def test_a_schema_that_describes_itself_without_end_is_refused(
    server: ServerProcess, session: Session, query: str
) -> None:
    found = []
    assert measure_health(server, lambda: found.append(session.try_to_ask(query))) < PROMPT
    [(status, answer)] = found
    assert status == 400
    assert "ask for less" in answer["errors"][0]["message"]
    probe = session.ask('{__type(name: "UpsertBucketInput") {inputFields {name}}}')
    assert {"name": "displayName"} in probe["__type"]["inputFields"]


def test_bodies_of_very_many_parts_are_refused(server: ServerProcess, session: Session) -> None:
    body = b'{"query": "{viewer {id}}", "variables": {"a": [' + b"[]," * 6_000_000 + b"[]]}}"
    status = []
    assert measure_health(server, lambda: status.append(session.send("POST", "/graphql", body)[0])) < PROMPT
    assert status == [400]


def test_a_large_sweep_does_not_hold_the_loop(server: ServerProcess, session: Session) -> None:
    values = ",".join(map(str, range(140_000)))
    query = 'mutation M($c: String) {upsertSweep(input: {projectName: "load", config: $c}) {sweep {id}}}'
    config = f"method: grid\nparameters: {{a: {{values: [{values}]}}}}"
    assert measure_health(server, lambda: session.ask(query, c=config)) < PROMPT


def test_unfinished_telemetry_takes_no_memory_and_is_ended(server: ServerProcess) -> None:
    head = b"POST /sdk/otel/v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    connections = [knock(server, head + b"x" * 2_000_000) for _ in range(30)]
    assert ask_health(server) < PROMPT
    assert process.memory_info().rss - before < 30_000_000
    began = time.monotonic()
    for connection in connections:
        connection.settimeout(20)
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            pass
        connection.close()
    assert time.monotonic() - began < 15


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process")
@pytest.mark.parametrize("files", [256, None])
def test_half_sent_heads_neither_keep_others_out_nor_fill_the_log(tmp_path: Path, files: int | None) -> None:
    with ServerProcess(tmp_path, files=files) as server:
        assert server.process is not None
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (256, 256))
        connections = [knock(server, b"GET /healthz HT") for _ in range(400)]
        assert max(ask_health(server) for _ in range(20)) < PROMPT
        with Session(server) as session:
            session.start_run("load", "run")
        assert len(server.log.read_text().splitlines()) < 20
        for connection in connections:
            connection.close()
        assert "Traceback" not in server.log.read_text()


def test_a_head_has_seconds_to_come(server: ServerProcess) -> None:
    with knock(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n") as connection:
        connection.settimeout(20)
        began = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""
        assert 5 < time.monotonic() - began < 15


@pytest.mark.parametrize(
    "config", [{"_wandb": {"value": 5}}, {"_wandb": 5}, {"_wandb": [1]}, {"_wandb": {"value": []}}]
)
def test_any_config_leaves_lists_readable(session: Session, config: object) -> None:
    session.start_run("odd", "run", config=json.dumps(config), summaryMetrics=json.dumps(config))
    query = '{project(name: "odd") {runs {edges {node {name wandbConfig(keys: ["t"]) historyKeys}}}}}'
    assert session.ask(query)["project"]["runs"]["edges"][0]["node"]["wandbConfig"] == "{}"
    session.ask(query.replace('(keys: ["t"])', ""))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/-/login", b"&".join(b"f%d=1" % number for number in range(6))),
        ("GET", "/storage/runs/" + "9" * 5000 + "/a", None),
        ("GET", "/storage/blobs/" + "9" * 5000 + "/a", None),
        ("PUT", "/storage/runs/" + "9" * 5000 + "/a", b"x"),
    ],
)
def test_odd_requests_are_refused(session: Session, method: str, path: str, body: bytes | None) -> None:
    assert 400 <= session.send(method, path, body)[0] < 500


@pytest.mark.parametrize("key", ["config.\0", "summary_metrics.\0.x"])
def test_odd_orders_and_filters_are_refused(session: Session, key: str) -> None:
    query = (
        'query Q($o: String, $f: JSONString) {project(name: "load") {runs(order: $o, filters: $f) {edges {cursor}}}}'
    )
    assert session.try_to_ask(query, o=f"+{key}")[0] == 400
    assert session.try_to_ask(query, f=json.dumps({key: 1}))[0] == 400


@pytest.mark.parametrize("path", ["/graphql", "/-/login", "/files/local/load/run/file_stream", "/storage/runs/1/f"])
def test_clients_that_go_away_leave_no_trace(server: ServerProcess, session: Session, path: str) -> None:
    authorization = session.key_header["Authorization"]
    method = "PUT" if path.startswith("/storage") else "POST"
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Length: 100\r\n\r\n{{"
    knock(server, head.encode()).close()
    assert ask_health(server) < PROMPT
    time.sleep(0.2)
    assert "Traceback" not in server.log.read_text()


def test_a_full_disk_at_the_start_is_told_in_a_sentence(tmp_path: Path) -> None:
    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    command = [sys.executable, "-m", "multistage.wandb_server", "--data", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=fill, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "cannot use its database" in done.stderr


FULL_LATER = """
import errno, sys
from multistage.wandb_server import __main__, serving
def refuse(*_):
    raise OSError(errno.ENOSPC, "No space left on device")
serving.write_announcement = refuse
sys.exit(__main__.main())
"""


def test_a_disk_that_fills_with_the_database_is_told_in_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_LATER, "--data", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "cannot be used: [Errno 28] No space left on device. Free some space" in done.stderr


LOCKLESS = """
import errno, fcntl, os, sys
from multistage.wandb_server import __main__
def refuse(*_):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
fcntl.flock = refuse
sys.exit(__main__.main())
"""


def test_a_disk_without_file_locks_is_not_taken_for_another_server(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    command = [sys.executable, "-c", LOCKLESS, "--data", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"{folder}/lock cannot be locked: this disk has no file locks (Function not implemented)." in done.stderr
    assert "MULTISTAGE_HOME" in done.stderr
    assert "Another embedded server" not in done.stderr


def test_what_the_server_stores_is_its_owners_alone(server: ServerProcess, session: Session) -> None:
    answer = session.ask(
        'mutation {createRunFiles(input: {projectName: "load", runName: "run", files: ["a"]}) {files {uploadUrl}}}'
    )
    link = answer["createRunFiles"]["files"][0]["uploadUrl"].partition(str(server.port))[2]
    assert session.send("PUT", link, b"content", {})[0] == 200
    for path in (server.folder, *server.folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
