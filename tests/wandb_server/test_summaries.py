"""What drivers tell of their sweeps: who may tell it, what is kept, and what a page is answered."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from multistage.domain.live.digest import summarize
from multistage.domain.live.summary import LiveSummary
from multistage.wandb_server.credentials import DRIVER_KEY, make_worker_key
from multistage.wandb_server.pages.login_links import make_token, name_cookie
from tests.domain.live.test_digest import look, make_run
from tests.server_process import ServerProcess
from tests.states import BEGAN, make_state
from tests.wandb_server.server_requests import Session


@pytest.fixture(scope="module")
def driver(wandb_server: ServerProcess) -> Iterator[Session]:
    """Whoever drives a sweep."""
    with Session(wandb_server, (wandb_server.folder / DRIVER_KEY).read_text().strip()) as session:
        yield session


@pytest.fixture(scope="module")
def worker(wandb_server: ServerProcess) -> Iterator[Session]:
    """Whoever has the API key, as workers and trainings do."""
    with Session(wandb_server) as session:
        yield session


def make_summary(uid: str, *runs: Any, **changes: Any) -> LiveSummary:
    return summarize(make_state(uid=uid, **changes), look(*runs), BEGAN)


def tell(session: Session, summary: LiveSummary, uid: str | None = None) -> int:
    return session.send("PUT", f"/-/sweeps/{uid or summary.uid}", summary.model_dump_json().encode())[0]


def ask(session: Session, uid: str, since: int = 0) -> dict[str, Any]:
    status, body = session.send("GET", f"/-/sweeps/{uid}/changes?since={since}")
    assert status == 200, body
    answer: dict[str, Any] = json.loads(body)
    return answer


def test_a_page_is_answered_what_changed(driver: Session, worker: Session) -> None:
    first = make_summary("changing", make_run(0), make_run(1, "active"))
    assert tell(driver, first) == 204
    whole = ask(worker, "changing")
    assert LiveSummary.model_validate(whole["summary"] | {"runs": whole["runs"]}) == first
    assert whole["total"] == 2
    nothing = ask(worker, "changing", whole["revision"])
    assert (nothing["summary"], nothing["runs"], nothing["total"]) == (None, [], 2)

    assert tell(driver, first) == 204  # a word that its driver lives
    again = ask(worker, "changing", whole["revision"])
    assert (again["summary"], again["runs"], again["revision"]) == (None, [], whole["revision"])
    assert again["heard"] >= nothing["heard"]

    assert tell(driver, make_summary("changing", make_run(0), make_run(1), make_run(2), budget_used=2)) == 204
    changed = ask(worker, "changing", whole["revision"])
    assert [run["run"] for run in changed["runs"]] == ["run1", "run2"]
    assert changed["summary"]["used"] == 2
    assert changed["total"] == 3

    assert tell(driver, make_summary("changing", make_run(2))) == 204
    assert ask(worker, "changing", changed["revision"])["total"] == 1
    assert [run["run"] for run in ask(worker, "changing")["runs"]] == ["run2"]


def test_only_a_driver_s_key_writes_and_it_opens_nothing_else(
    driver: Session, worker: Session, wandb_server: ServerProcess
) -> None:
    summary = make_summary("guarded")
    assert tell(worker, summary) == 403
    cookie = f"{name_cookie(wandb_server.key)}={make_token(wandb_server.key, 'session', 60)}"
    body = summary.model_dump_json().encode()
    for headers in ({}, {"Cookie": cookie}, {"Authorization": "Basic " + base64.b64encode(b"api:no").decode()}):
        assert driver.send("PUT", "/-/sweeps/guarded", body, headers)[0] == 401
    foreign = driver.key_header | {"Origin": "http://evil.example"}
    assert driver.send("PUT", "/-/sweeps/guarded", body, foreign)[0] == 403
    with Session(wandb_server, make_worker_key(wandb_server.key, "guarded")) as of_sweep:
        assert tell(of_sweep, summary) == 403
        assert of_sweep.send("GET", "/-/sweeps/guarded/changes")[0] == 403
    assert worker.send("GET", "/-/sweeps/guarded/changes")[0] == 404  # none of these was kept
    assert tell(driver, summary) == 204
    for method in ("POST", "DELETE", "PATCH"):
        assert worker.send(method, "/-/sweeps/guarded", body)[0] == 403
    for path in ("/", "/graphql", "/-/changes", "/local/some/changes", "/-/sweeps"):
        assert driver.send("GET", path)[0] == 401, path
    assert driver.send("POST", "/graphql", b"{}")[0] == 401
    assert (wandb_server.folder / DRIVER_KEY).stat().st_mode & 0o077 == 0
    assert worker.send("GET", "/-/sweeps/guarded")[0] == 200


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"uid": "another"}, "another"),
        ({"uid": "../x"}, "uid"),
        ({"links": {"W&B": "javascript:alert(1)"}}, "links"),
        ({"runs": [{"run": "r"}]}, "runs.0"),
        ({"used": "many"}, "used"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_reason(driver: Session, change: dict[str, Any], told: str) -> None:
    body = json.dumps(make_summary("odd").model_dump(mode="json") | change).encode()
    status, answer = driver.send("PUT", "/-/sweeps/odd", body)
    assert status == 400
    assert told in json.loads(answer)["errors"][0]["message"]
    assert driver.send("PUT", "/-/sweeps/odd", b"{")[0] == 400
    assert driver.send("GET", "/-/sweeps/odd/changes")[0] == 404


def test_the_front_page_lists_the_sweeps(driver: Session, worker: Session) -> None:
    assert tell(driver, make_summary("listed", make_run(0, value=0.75), name="a <b>night</b>", budget_used=1)) == 204
    found = json.loads(worker.send("GET", "/-/changes")[1])["sweeps"]
    (one,) = [sweep for sweep in found if sweep["uid"] == "listed"]
    assert (one["name"], one["status"], one["used"], one["budget"], one["leader"]) == (
        "a <b>night</b>", "running", 1, 30, 0.75
    )  # fmt: skip
