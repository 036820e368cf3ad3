"""How runs are queued, capped and handed out, at the level of the protocol."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server_process import ServerProcess
from tests.wandb_server.protocol_sweeps import CUSTOM, ENQUEUE, beat, get_states, make_agent
from tests.wandb_server.server_requests import Session

CONTROLLED = "method: random\nprogram: train.py\ncontroller: {type: local}\nparameters: {lr: {min: 0.0, max: 1.0}}\n"
CONTROL = "mutation M($id: ID, $c: JSONString) {upsertSweep(input: {id: $id, controller: $c}) {sweep {scheduler}}}"


@pytest.fixture
def session(wandb_server: ServerProcess) -> Iterator[Session]:
    with Session(wandb_server) as session:
        yield session


def enqueue(session: Session, sweep: str, config: str, name: str | None) -> str:
    return str(session.ask(ENQUEUE, id=sweep, c=config, n=name)["enqueueSweepRun"]["id"])


def finish(session: Session, project: str, run: str) -> None:
    session.start_run(project, run)
    session.report(project, run, complete=True, exitcode=0)


def test_the_same_request_queues_one_run_also_when_it_is_repeated_late(session: Session) -> None:
    sweep, agent = make_agent(session, "again")
    first = enqueue(session, sweep, '{"lr": 0.1}', "s1-0000")
    assert enqueue(session, sweep, '{"lr": 0.1}', "s1-0000") == first
    [command] = beat(session, agent)
    assert command["run_id"] == first
    assert enqueue(session, sweep, '{"lr": 0.1}', "s1-0000") == first
    finish(session, "again", first)
    assert enqueue(session, sweep, '{"lr": 0.1}', "s1-0000") == first
    assert beat(session, agent) == []
    others = {
        enqueue(session, sweep, '{"lr": 0.2}', "s1-0000"),
        enqueue(session, sweep, '{"lr": 0.1}', "s1-0000-r1"),
        enqueue(session, sweep, '{"lr": 0.1}', None),
        enqueue(session, sweep, '{"lr": 0.1}', None),
        enqueue(session, make_agent(session, "again")[0], '{"lr": 0.1}', "s1-0000"),
    }
    assert len(others | {first}) == 6


def test_run_cap_bounds_what_is_started_however_much_is_queued(session: Session) -> None:
    sweep, agent = make_agent(session, "capped", f"{CUSTOM}run_cap: 2\n")
    for index in range(4):
        enqueue(session, sweep, "{}", str(index))
    other = make_agent_of(session, "capped", sweep)
    [first], [second] = beat(session, agent), beat(session, other)
    finish(session, "capped", first["run_id"])
    assert beat(session, agent) == [], "the other run may still be preempted"
    finish(session, "capped", second["run_id"])
    assert beat(session, agent) == [{"type": "exit"}]
    assert get_states(session, "capped") == ["finished", "finished", "killed", "killed"]
    assert beat(session, other) == [{"type": "exit"}]


def make_agent_of(session: Session, project: str, sweep: str) -> str:
    """Another agent of a sweep."""
    return make_agent(session, project, sweep=sweep)[1]


def test_local_controller_has_its_runs_handed_out_and_stopped(session: Session) -> None:
    sweep, agent = make_agent(session, "controlled", CONTROLLED)
    assert beat(session, agent) == []

    def control(**controller: Any) -> None:
        session.ask(CONTROL, id=sweep, c=json.dumps(controller))

    control(schedule=[{"id": "one", "data": {"args": {"lr": {"value": 0.5}}}}])
    [command] = beat(session, agent)
    assert command["args"] == {"lr": {"value": 0.5}}
    name = command["run_id"]
    assert beat(session, agent, name) == []
    [found] = session.ask(
        "query Q($p: String) {project(name: $p) {sweeps {edges {node {scheduler}}}}}", p="controlled"
    )["project"]["sweeps"]["edges"]
    assert json.loads(found["node"]["scheduler"]) == {"scheduled": [{"id": "one", "runid": name}]}
    session.start_run("controlled", name)
    session.start_run("controlled", "bystander")
    control(schedule=[], earlystop=[name, "bystander", "nobody"])
    assert session.report("controlled", name)["stopped"] is True
    assert session.report("controlled", "bystander")["stopped"] is False
    session.report("controlled", name, complete=True, exitcode=255)
    control(schedule=[{"id": "end", "data": {"args": None}}])
    assert beat(session, agent) == [{"type": "exit"}]


@pytest.mark.parametrize("text", ["[]", "no", '{"schedule": {}}', '{"schedule": [{"id": 1}]}', '{"earlystop": "a"}'])
def test_what_is_no_controller_is_refused(session: Session, text: str) -> None:
    sweep, _ = make_agent(session, "odd", CONTROLLED)
    assert session.try_to_ask(CONTROL, id=sweep, c=text)[0] == 400


@pytest.mark.parametrize(
    ("settings", "stopped"),
    [
        ("min_iter: 2, eta: 2", "d"),
        ("min_iter: 2, eta: 4", "cd"),
        ("min_iter: 2, eta: 4, strict: true", "bcd"),
        ("min_iter: 4, eta: 4", "cd"),
        ("min_iter: 5, eta: 4", ""),
        ("max_iter: 8, s: 1, eta: 4", "cd"),
        ("max_iter: 8, s: 2, eta: 2", "d"),
        ("max_iter: 8, s: 2, eta: 2, strict: true", "d"),
    ],
)
def test_hyperband_compares_at_its_bands(session: Session, settings: str, stopped: str) -> None:
    project = f"bands-{uuid.uuid4().hex[:8]}"
    config = f"{CUSTOM}metric: {{name: loss}}\nearly_terminate: {{type: hyperband, {settings}}}\n"
    sweep, agent = make_agent(session, project, config)
    losses = {"a": [1, 1, 1, 1], "b": [0, 4, 4, 4], "c": [3, 3, 3, 3], "d": [5, 5, 5, 5]}
    names = {}
    for letter in losses:
        enqueue(session, sweep, "{}", letter)
        [command] = beat(session, agent)
        names[letter] = command["run_id"]
        session.start_run(project, command["run_id"])
    for letter, values in losses.items():
        for step, value in enumerate(values):
            session.log(project, names[letter], step, {"loss": value})
    found = "".join(letter for letter, name in names.items() if session.report(project, name)["stopped"])
    assert found == stopped


def test_a_sweep_asked_for_no_page_gives_every_run(session: Session) -> None:
    make_agent(session, "large")
    [edge] = session.ask('{project(name: "large") {sweeps {edges {node {name}}}}}')["project"]["sweeps"]["edges"]
    sweep = edge["node"]["name"]
    for start in range(0, 1100, 220):
        made = " ".join(
            f'r{index}: upsertBucket(input: {{modelName: "large", name: "r{index}", sweep: "{sweep}"}}) {{inserted}}'
            for index in range(start, start + 220)
        )
        session.ask(f"mutation {{{made}}}")
    found = session.ask(
        'query Q($s: String) {project(name: "large") {sweep(sweepName: $s) {runs {edges {node {name}}}}}}',
        s=sweep,
    )
    assert [edge["node"]["name"] for edge in found["project"]["sweep"]["runs"]["edges"]] == [
        f"r{index}" for index in range(1100)
    ]
