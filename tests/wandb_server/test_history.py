"""Every way of reading a run's history gives what was logged: W&B's own client, and rows as wandb-core streams them."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session
from tests.wandb_server.wandb_clients import run_script

Rows = list[dict[str, Any]]
PROJECT = "histories"
SAMPLED_PAGE = """
query Q($project: String!, $run: String!, $spec: JSONString!) {
  project(name: $project) {run(name: $run) {sampledHistory(specs: [$spec])}}
}
"""
"""As clients up to 0.26 read a page of some keys, in Python."""


@pytest.fixture
def session(wandb_server: ServerProcess) -> Iterator[Session]:
    with Session(wandb_server) as session:
        yield session


def make_rows(count: int, gap: int = 1) -> Rows:
    """Rows of which every third has a second metric, and one a nested and a non-finite one."""
    rows: Rows = []
    for index in range(count):
        row: dict[str, Any] = {"_step": index * gap, "loss": 1 / (index + 1), "epoch": index // 100}
        if index % 3 == 0:
            row["val/loss"] = index
        if index % 7 == 0:
            row["deep"] = {"inner": -index}
        if index % 11 == 0:
            row["odd"] = "NaN"
        rows.append(row)
    return rows


def stream(session: Session, rows: Rows, chunk: int = 5_000) -> str:
    """Log rows to a new run; returns its id."""
    run = f"r{uuid.uuid4().hex[:10]}"
    session.start_run(PROJECT, run)
    for offset in range(0, len(rows), chunk):
        content = [json.dumps(row) for row in rows[offset : offset + chunk]]
        session.report(PROJECT, run, files={"wandb-history.jsonl": {"offset": offset, "content": content}})
    session.report(PROJECT, run, complete=True, exitcode=0)
    return run


def select(rows: Rows, keys: list[str] | None = None, least: int = 0, end: int | None = None) -> Rows:
    """What a scan must give: the rows of these steps that have all of the keys, by step, which it adds."""
    found = sorted(rows, key=lambda row: int(row["_step"]))
    found = [row for row in found if row["_step"] >= least and (end is None or row["_step"] < end)]
    if keys is None:
        return found
    return [{key: row[key] for key in (*keys, "_step")} for row in found if all(key in row for key in keys)]


@pytest.mark.parametrize("gap", [1, 37], ids=["every step", "gaps"])
@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_a_scan_gives_what_was_logged(api: Any, session: Session, count: int, gap: int) -> None:
    rows = make_rows(count, gap)
    run = api.run(f"local/{PROJECT}/{stream(session, rows)}")
    assert list(run.scan_history()) == select(rows)
    for keys in (["loss"], ["_step", "val/loss"], ["_step", "loss", "val/loss"], ["missing"], ["odd"]):
        assert list(run.scan_history(keys=keys)) == select(rows, keys), keys
    last = count * gap
    for least, end in ((0, last // 2), (last // 3, last), (last // 2, last + 5_000), (last, last + 1)):
        for page in (100 * gap, 1000 * gap):
            found = list(run.scan_history(keys=["_step", "loss"], min_step=least, max_step=end, page_size=page))
            assert found == select(rows, ["_step", "loss"], least, end), (least, end, page)
    assert run.history(samples=100_000, pandas=False) == rows
    sampled = run.history(samples=50, keys=["loss"], pandas=False)
    assert len(sampled) == min(50, count)
    assert all({"_step": row["_step"], "loss": row["loss"]} in sampled for row in rows[-1:])
    logged = {row["_step"]: row["loss"] for row in rows}
    assert all(logged[row["_step"]] == row["loss"] for row in sampled)


@pytest.mark.parametrize("keys", [["_step", "loss"], ["loss", "_step"]], ids=",".join)
@pytest.mark.parametrize("count", [0, 1, 999, 1001, 2500])
def test_a_page_of_some_keys_keeps_within_its_steps(session: Session, count: int, keys: list[str]) -> None:
    rows = make_rows(count)
    run = stream(session, rows)
    found: Rows = []
    for least in range(0, max(1, count), 1000):
        spec = {"keys": keys, "minStep": least, "maxStep": min(least + 1000, count), "samples": 1000}
        answer = session.ask(SAMPLED_PAGE, project=PROJECT, run=run, spec=json.dumps(spec))
        found += answer["project"]["run"]["sampledHistory"][0]
    assert found == select(rows, ["_step", "loss"])


@st.composite
def late_rows(draw: st.DrawFn) -> Rows:
    """Rows in the order in which they came, which need not be that of their steps."""
    steps = draw(st.lists(st.integers(0, 5_000), unique=True, max_size=40))
    keys = st.dictionaries(st.sampled_from(["a", "b/c", "d.e"]), st.floats(-1e6, 1e6) | st.integers(-9, 9))
    return [{**draw(keys), "_step": step} for step in steps]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(late_rows(), st.integers(0, 5_000), st.integers(0, 5_001), st.integers(500, 3_000))
def test_rows_that_come_late_are_read_in_their_place(
    api: Any, session: Session, rows: Rows, least: int, end: int, page: int
) -> None:
    run = api.run(f"local/{PROJECT}/{stream(session, rows, 7)}")
    assert run.lastHistoryStep == max((row["_step"] for row in rows), default=-1)
    assert list(run.scan_history(page_size=page)) == select(rows)
    for keys in (["a"], ["_step", "b/c"], ["d.e", "a"]):
        found = list(run.scan_history(keys=keys, min_step=least, max_step=end, page_size=page))
        assert found == select(rows, keys, least, end)


def test_a_run_in_progress_is_read_as_far_as_it_got(api: Any, session: Session) -> None:
    rows = make_rows(1500)
    run = f"r{uuid.uuid4().hex[:10]}"
    session.start_run(PROJECT, run)
    for offset in (0, 600, 1100):
        part = [json.dumps(row) for row in rows[offset : {0: 600, 600: 1100, 1100: 1500}[offset]]]
        session.report(PROJECT, run, files={"wandb-history.jsonl": {"offset": offset, "content": part}})
        found = list(api.run(f"local/{PROJECT}/{run}").scan_history(keys=["_step", "loss"]))
        assert found == select(rows[: offset + len(part)], ["_step", "loss"])
        api.flush()


LONG = """
import json, wandb
with wandb.init(project="histories") as run:
    for step in range(2500):
        run.log({"loss": 1 / (step + 1)})
print(json.dumps([run.entity, run.id]))
"""


def test_what_the_client_logs_in_thousands_of_rows_is_what_it_reads(
    api: Any, tracker: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    _, run_id = run_script(tracker, tmp_path_factory.mktemp("long"), LONG)
    found = list(api.run(f"local/{PROJECT}/{run_id}").scan_history(keys=["loss"]))
    assert [row["loss"] for row in found] == [1 / (step + 1) for step in range(2500)]


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_read_whole(api: Any, session: Session) -> None:
    rows = make_rows(100_000)
    run = api.run(f"local/{PROJECT}/{stream(session, rows)}")
    assert list(run.scan_history(keys=["_step", "loss"])) == select(rows, ["_step", "loss"])
    assert list(run.scan_history(page_size=10_000)) == select(rows)
