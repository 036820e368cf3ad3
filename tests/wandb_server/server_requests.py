"""Requests as wandb sends them, without wandb: for what no client would send, and for many at once."""

import base64
import http.client
import json
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.server_process import ServerProcess


class Answer(NamedTuple):
    """An answer as it came; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Session:
    """A connection to a server that is kept open.

    Args:
        server: Which one.
        key: Another key than the server's.
        timeout: Seconds for each answer.
    """

    def __init__(self, server: ServerProcess, key: str | None = None, timeout: float = 20) -> None:
        self._server = server
        token = base64.b64encode(f"api:{server.key if key is None else key}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One request; returns the status and the body of the answer.

        A connection that the server closed for being idle is opened again, once.
        """
        answer = self.exchange(method, path, body, self._headers if headers is None else headers)
        return answer.status, answer.body

    def exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """One request with these headers alone."""
        reused = self._connection.sock is not None
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            if not reused:
                raise
        return self.exchange(method, path, body, headers)

    @property
    def key_header(self) -> dict[str, str]:
        """What shows the key."""
        return {"Authorization": self._headers["Authorization"]}

    def ask(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """A GraphQL request that must be answered; returns the data."""
        status, answer = self.try_to_ask(query, **variables)
        assert status == 200, answer
        assert not answer.get("errors"), answer
        data: dict[str, Any] = answer["data"]
        return data

    def try_to_ask(self, query: str, /, **variables: Any) -> tuple[int, dict[str, Any]]:
        """A GraphQL request that may be refused."""
        status, body = self.send("POST", "/graphql", json.dumps({"query": query, "variables": variables}).encode())
        return status, json.loads(body)

    def report(self, project: str, run: str, **body: Any) -> dict[str, Any]:
        """A file-stream request that must be taken."""
        status, answer = self.send("POST", f"/files/local/{project}/{run}/file_stream", json.dumps(body).encode())
        assert status == 200, answer
        found: dict[str, Any] = json.loads(answer)
        return found

    def log(self, project: str, run: str, offset: int, *rows: dict[str, Any]) -> dict[str, Any]:
        """Rows of history that must be taken."""
        content = [json.dumps({"_step": offset + index, **row}) for index, row in enumerate(rows)]
        return self.report(project, run, files={"wandb-history.jsonl": {"offset": offset, "content": content}})

    def start_run(self, project: str, name: str, **values: Any) -> dict[str, Any]:
        """Make a run as wandb.init does."""
        answer = self.ask(
            "mutation M($input: UpsertBucketInput!) {upsertBucket(input: $input) {bucket {id name} inserted}}",
            input={"modelName": project, "name": name, **values},
        )
        bucket: dict[str, Any] = answer["upsertBucket"]["bucket"]
        return bucket

    def make_sweep(self, project: str, config: str) -> str:
        """Make a sweep; returns its node id."""
        answer = self.ask(
            "mutation M($p: String, $c: String) {upsertSweep(input: {projectName: $p, config: $c}) {sweep {id name}}}",
            p=project,
            c=config,
        )
        return str(answer["upsertSweep"]["sweep"]["id"])

    def list_runs(self, project: str, filters: dict[str, Any] | None = None, order: str = "+created_at") -> list[Any]:
        """The first runs of a project."""
        answer = self.ask(
            "query Q($p: String, $f: JSONString, $o: String) {project(name: $p) {runs(filters: $f, order: $o, "
            "first: 1000) {edges {node {id name displayName state stopped heartbeatAt historyLineCount}}}}}",
            p=project,
            f=json.dumps(filters or {}),
            o=order,
        )
        return [edge["node"] for edge in answer["project"]["runs"]["edges"]]

    def read_history(self, project: str, run: str) -> list[dict[str, Any]]:
        """Every row of a run."""
        answer = self.ask(
            "query Q($p: String, $r: String) {project(name: $p) {run(name: $r) {history(samples: 100000)}}}",
            p=project,
            r=run,
        )
        return [json.loads(row) for row in answer["project"]["run"]["history"]]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
