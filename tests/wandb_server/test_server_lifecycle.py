"""Who is alive, and what a restart and a kill leave behind."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server_process import ServerProcess
from tests.wandb_server.protocol_sweeps import CREATE_AGENT, ENQUEUE, HEARTBEAT, beat, get_states, make_agent
from tests.wandb_server.server_requests import Session
from tests.wandb_server.wandb_clients import wait_for


@pytest.fixture(scope="module")
def quick_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that loses patience after two seconds."""
    with ServerProcess(tmp_path_factory.mktemp("quick"), "--run-timeout", "2") as server:
        yield server


@pytest.fixture
def quick(quick_server: ServerProcess) -> Iterator[Session]:
    with Session(quick_server) as session:
        yield session


def test_agent_gets_a_run_only_when_it_has_none(quick: Session) -> None:
    sweep, agent = make_agent(quick, "handout")
    for index in range(2):
        run_id = quick.ask(ENQUEUE, id=sweep, c='{"lr": 0.1}', n=str(index))["enqueueSweepRun"]["id"]
    [first] = beat(quick, agent)
    assert first["args"] == {"lr": {"value": 0.1}}
    assert first["program"] == "train.py"
    assert beat(quick, agent, first["run_id"]) == []
    [second] = beat(quick, agent)
    runs = quick.list_runs("handout")
    assert [run["name"] for run in runs] == [first["run_id"], second["run_id"]]
    assert runs[1]["name"] == run_id


def test_run_that_its_agent_never_started_is_crashed(quick: Session) -> None:
    sweep, agent = make_agent(quick, "never")
    quick.ask(ENQUEUE, id=sweep, c="{}", n="a")
    beat(quick, agent)
    assert get_states(quick, "never") == ["pending"]
    wait_for(lambda: get_states(quick, "never") == ["crashed"], 10)


def test_run_that_its_agent_no_longer_lists_is_crashed_after_a_grace(quick: Session) -> None:
    sweep, agent = make_agent(quick, "gone")
    quick.ask(ENQUEUE, id=sweep, c="{}", n="a")
    [command] = beat(quick, agent)
    quick.start_run("gone", command["run_id"])
    assert get_states(quick, "gone") == ["running"]
    before = quick.list_runs("gone")[0]["heartbeatAt"]

    def look() -> bool:
        beat(quick, agent, *([] if vouched > 5 else [command["run_id"]]))
        return get_states(quick, "gone") == ["crashed"]

    for vouched in range(30):  # noqa: B007 - read by look()
        if look():
            break
        time.sleep(0.5)
    assert vouched > 5
    assert get_states(quick, "gone") == ["crashed"]
    assert quick.list_runs("gone", {"heartbeatAt": {"$gt": before}})


def test_silent_run_is_crashed_and_running_again_when_it_reports(quick: Session) -> None:
    quick.start_run("silent", "run")
    wait_for(lambda: get_states(quick, "silent") == ["crashed"], 10)
    quick.log("silent", "run", 0, {"x": 1})
    assert get_states(quick, "silent") == ["running"]


def test_stopped_run_that_falls_silent_is_killed_and_a_preempting_one_preempted(quick: Session) -> None:
    node = quick.start_run("ends", "stopped")["id"]
    quick.start_run("ends", "preempted")
    quick.ask("mutation M($id: ID!) {stopRun(input: {id: $id}) {success}}", id=node)
    assert quick.report("ends", "stopped")["stopped"] is True
    quick.report("ends", "preempted", preempting=True)
    assert get_states(quick, "ends") == ["running", "preempting"]
    wait_for(lambda: get_states(quick, "ends") == ["killed", "preempted"], 10)


def test_console_of_a_scheduler_that_falls_silent_is_finished(quick: Session) -> None:
    make_agent(quick, "console")
    name = quick.ask("query Q($p: String) {project(name: $p) {sweeps {edges {node {controllerRunName}}}}}", p="console")
    run = name["project"]["sweeps"]["edges"][0]["node"]["controllerRunName"]
    quick.start_run("console", run)
    quick.start_run("console", "stranger-scheduler")
    wait_for(lambda: get_states(quick, "console") == ["finished", "crashed"], 10)


@pytest.mark.parametrize(("exitcode", "state"), [(0, "finished"), (1, "failed"), (255, "killed")])
def test_exit_codes(quick: Session, exitcode: int, state: str) -> None:
    quick.start_run("exits", str(exitcode))
    quick.report("exits", str(exitcode), complete=True, exitcode=exitcode)
    assert [run["state"] for run in quick.list_runs("exits", {"name": str(exitcode)})] == [state]


def test_stopping_a_queued_run_takes_it_from_the_queue(quick: Session) -> None:
    sweep, agent = make_agent(quick, "queued")
    quick.ask(ENQUEUE, id=sweep, c="{}", n="a")
    [run] = quick.list_runs("queued")
    quick.ask("mutation M($id: ID!) {stopRun(input: {id: $id}) {success}}", id=run["id"])
    assert get_states(quick, "queued") == ["killed"]
    assert beat(quick, agent) == []


def test_cursor_misses_nothing_and_repeats_little(quick: Session) -> None:
    names = [f"run{index}" for index in range(20)]
    for name in names:
        quick.start_run("cursor", name)
    runs = quick.list_runs("cursor", order="+heartbeat_at")
    stamps = [run["heartbeatAt"] for run in runs]
    assert stamps == sorted(set(stamps))
    quick.report("cursor", "run3")
    quick.log("cursor", "run7", 0, {"x": 1})
    changed = quick.list_runs("cursor", {"heartbeatAt": {"$gte": stamps[-1]}}, order="+heartbeat_at")
    assert [run["name"] for run in changed] == ["run19", "run3", "run7"]


def test_a_summary_that_comes_after_the_end_is_seen_by_whoever_asks_for_changes(quick: Session) -> None:
    quick.start_run("late", "run")
    quick.report("late", "run", complete=True, exitcode=0)
    [ended] = quick.list_runs("late")
    quick.report("late", "run", files={"wandb-summary.json": {"offset": 0, "content": ['{"score": 1}']}})
    [changed] = quick.list_runs("late", {"heartbeatAt": {"$gt": ended["heartbeatAt"]}})
    assert changed["state"] == "finished"


def test_rows_that_come_twice_are_kept_once(quick: Session) -> None:
    quick.start_run("twice", "run")
    for _ in range(3):
        quick.log("twice", "run", 0, {"x": 1}, {"x": 2})
    quick.log("twice", "run", 1, {"x": 2}, {"x": 3})
    assert quick.list_runs("twice")[0]["historyLineCount"] == 3


def test_missing_sweep_and_agent_are_404(quick: Session) -> None:
    assert quick.try_to_ask(HEARTBEAT, id="bm90aGVyZQ==", s="{}")[0] == 404
    quick.start_run("exists", "run")
    assert quick.try_to_ask(CREATE_AGENT, p="exists", s="none")[0] == 404


def test_killed_server_loses_no_acknowledged_row_and_runs_go_on(tmp_path: Path) -> None:
    acknowledged: dict[str, int] = {}
    with ServerProcess(tmp_path) as server:
        with Session(server) as session:
            sweep, agent = make_agent(session, "load")
            session.ask(ENQUEUE, id=sweep, c="{}", n="first")
            session.ask(ENQUEUE, id=sweep, c="{}", n="second")
            [command] = beat(session, agent)
            for index in range(6):
                session.start_run("load", f"run{index}")
                acknowledged[f"run{index}"] = 0

        def write(name: str) -> None:
            try:
                with Session(server) as own:
                    while True:
                        count = acknowledged[name]
                        own.log("load", name, count, *({"x": count + extra} for extra in range(5)))
                        acknowledged[name] = count + 5
            except (OSError, ValueError, AssertionError):
                return  # the server was killed

        threads = [threading.Thread(target=write, args=(name,)) for name in acknowledged]
        for thread in threads:
            thread.start()
        wait_for(lambda: min(acknowledged.values()) >= 50, 30)
        server.kill()
        for thread in threads:
            thread.join(30)
        port = server.port
        server.start()
        assert server.port == port
        with Session(server) as session:
            stored = {run["name"]: run["historyLineCount"] for run in session.list_runs("load")}
            for name, count in acknowledged.items():
                # The last request may have been stored and its answer lost.
                assert stored[name] in (count, count + 5)
                assert session.read_history("load", name)[:count] == [
                    {"_step": step, "x": step} for step in range(count)
                ]
            assert get_states(session, "load").count("running") == 6
            assert beat(session, agent, command["run_id"]) == []
            session.start_run("load", command["run_id"])
            session.report("load", command["run_id"], complete=True, exitcode=0)
            [following] = beat(session, agent)
            assert following["run_id"] != command["run_id"]
        assert server.stop() == 0
        assert not (server.folder / "server.json").exists()
