"""Runs that say that they will be preempted: handed out again, and how often."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from multistage.domain.runs.slots import MAX_ATTEMPTS, RESUMED_ATTEMPTS
from multistage.wandb_server.lifecycle import Lifecycle, Timing
from multistage.wandb_server.nodes import get_run
from multistage.wandb_server.store import Store
from tests.server_process import ServerProcess
from tests.wandb_server.protocol_sweeps import beat, get_states, make_agent
from tests.wandb_server.server_requests import Session

GRID = "method: grid\nprogram: t.py\nparameters: {lr: {values: [1]}}\n"


def attempt(session: Session, project: str, agent: str, exitcode: int, rows: int | None = None) -> list[str]:
    """Let an agent take a run that says that it will be preempted, after rows or at once; returns what it was told.

    Args:
        session: A connection.
        project: The sweep's.
        agent: Of the sweep.
        exitcode: The run's.
        rows: How many rows the run has before it logs another; None for one that logs none.
    """
    commands = beat(session, agent)
    for command in commands:
        if command["type"] == "exit":
            continue
        session.start_run(project, command["run_id"])
        if rows is not None:
            session.log(project, command["run_id"], rows, {"x": 1})
        session.report(project, command["run_id"], preempting=True)
        session.report(project, command["run_id"], complete=True, exitcode=exitcode)
    return [command["type"] for command in commands]


def test_a_run_that_fails_by_itself_is_handed_out_again_twice(session: Session) -> None:
    _, agent = make_agent(session, "preempt-fails", GRID)
    told = [attempt(session, "preempt-fails", agent, 1) for _ in range(MAX_ATTEMPTS)]
    assert told == [["run"], ["resume"], ["resume"]]
    assert get_states(session, "preempt-fails") == ["failed"]
    assert attempt(session, "preempt-fails", agent, 1) == ["exit"]


@pytest.mark.parametrize("exitcode", [143, 255])
def test_a_run_that_a_signal_ends_begins_its_count_again(session: Session, exitcode: int) -> None:
    project = f"preempt-{exitcode}"
    _, agent = make_agent(session, project, GRID)
    for code in (1, 1, exitcode, 1, 1, exitcode):
        attempt(session, project, agent, code)
    assert get_states(session, project) == ["preempted"]


def test_a_run_that_says_so_while_it_trains_has_not_failed_by_itself(session: Session) -> None:
    _, agent = make_agent(session, "preempt-trains", GRID)
    for rows in range(2 * MAX_ATTEMPTS):
        attempt(session, "preempt-trains", agent, 1, rows)
    assert get_states(session, "preempt-trains") == ["preempted"]


def test_a_run_that_is_asked_to_stop_is_not_handed_out_again(session: Session) -> None:
    stop = "mutation M($id: ID!) {stopRun(input: {id: $id}) {success}}"
    _, agent = make_agent(session, "preempt-stopped", GRID)
    [command] = beat(session, agent)
    node = session.start_run("preempt-stopped", command["run_id"])["id"]
    session.report("preempt-stopped", command["run_id"], preempting=True)
    session.ask(stop, id=node)
    session.report("preempt-stopped", command["run_id"], complete=True, exitcode=1)
    assert get_states(session, "preempt-stopped") == ["killed"]
    assert [command["type"] for command in beat(session, agent)] == ["exit"]


def test_a_run_that_waits_to_be_handed_out_again_can_be_stopped(session: Session) -> None:
    _, agent = make_agent(session, "preempt-waits", GRID)
    attempt(session, "preempt-waits", agent, 1)
    [run] = session.list_runs("preempt-waits")
    session.ask("mutation M($id: ID!) {stopRun(input: {id: $id}) {success}}", id=run["id"])
    assert get_states(session, "preempt-waits") == ["killed"]


def test_the_count_outlives_the_server(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        with Session(server) as session:
            _, agent = make_agent(session, "preempt-restart", GRID)
            attempt(session, "preempt-restart", agent, 1)
            attempt(session, "preempt-restart", agent, 1)
        server.kill()
        server.start()
        with Session(server) as session:
            assert attempt(session, "preempt-restart", agent, 1) == ["resume"]
            assert get_states(session, "preempt-restart") == ["failed"]


@pytest.fixture
def session(wandb_server: ServerProcess) -> Iterator[Session]:
    with Session(wandb_server) as session:
        yield session


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "wandb.sqlite")
    store.insert("projects", entity="local", name="p", created_at=0)
    yield store
    store.close()


@pytest.mark.parametrize(("exitcode", "state"), [(None, "crashed"), (143, "failed")])
def test_there_is_an_end_to_preemptions(store: Store, exitcode: int | None, state: str) -> None:
    lifecycle = Lifecycle(store, Timing())

    def end(preemptions: int, **values: object) -> str:
        given = {"project_id": 1, "name": str(store.tick()), "state": "preempting", "sweep": "s", "created_at": 0}
        run_id = store.insert("runs", **{**given, "preemptions": preemptions, "heartbeat_at": store.tick(), **values})
        run = get_run(store, run_id)
        lifecycle.give_up(run) if exitcode is None else lifecycle.complete(run, exitcode)
        return str(get_run(store, run_id)["state"])

    assert end(RESUMED_ATTEMPTS - 2) == "preempted"
    assert end(RESUMED_ATTEMPTS - 1) == state
    assert end(RESUMED_ATTEMPTS - 1, sweep=None) == "preempted", "nobody hands it out again"
    assert end(0, stop_requested=1) == "killed"
