"""Looking at a sweep on a server that is far, slow, busy or away."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import wandb

from multistage.domain.runs.slots import SlotName
from multistage.domain.sweep.plan import SweepSettings, plan_sweep
from multistage.driver import sweep_tracker
from multistage.driver.stage_driver import ASK_EVERY
from multistage.driver.sweep_tracker import LONGEST_INTERVAL, LONGEST_OUTAGE, REMOTE_INTERVAL, SweepTracker
from multistage.errors import ServiceError, TrackerError, UsageError
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.sweep_calls import build_sweep_config, create_sweep, read_sweep
from tests.server_process import ServerProcess
from tests.states import make_settings
from tests.wandb_client.counting_proxy import CountingProxy
from tests.wandb_server.server_requests import Session

RUNS = 500
TRAINING = 20


@pytest.fixture
def settings() -> SweepSettings:
    return make_settings(budget=1700, project="far", metric="score")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("WANDB_BASE_URL", "WANDB_API_KEY", "WANDB_ENTITY", "WANDB_PROJECT", "WANDB_SILENT", "WANDB_CONSOLE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    yield
    wandb.teardown()


def fill(server: ServerProcess, connection: Connection, settings: SweepSettings, runs: int) -> str:
    """Make a sweep of stage 1 with queued runs; returns its id."""
    config = build_sweep_config(settings, plan_sweep(settings).stages[0], settings.space, f"{runs} runs")
    sweep_id = create_sweep(connection, config)
    node = read_sweep(connection, sweep_id).node_id
    with Session(server) as session:
        for start in range(0, runs, 100):
            made = " ".join(
                f'r{index}: enqueueSweepRun(input: {{id: "{node}", displayName: "{SlotName(stage=1, index=index)}", '
                f'config: "{{\\"lr\\": 0.001}}"}}) {{id}}'
                for index in range(start, min(start + 100, runs))
            )
            session.ask(f"mutation {{{made}}}")
    return sweep_id


def track(connection: Connection, sweep_id: str, settings: SweepSettings) -> SweepTracker:
    return SweepTracker(connection, sweep_id, settings, plan_sweep(settings).stages[0], lambda: None)


def test_looking_at_500_runs_takes_less_than_30_requests_a_minute(
    wandb_server: ServerProcess, settings: SweepSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_tracker, "is_loopback", lambda _: False)
    with CountingProxy(wandb_server.port) as proxy:
        connection = Connection(proxy.url, wandb_server.key, "local", settings.project)
        sweep_id = fill(wandb_server, connection, settings, RUNS)
        tracker = track(connection, sweep_id, settings)
        tracker.read()
        assert (len(tracker.records), tracker.interval) == (RUNS, REMOTE_INTERVAL)
        names = list(tracker.records)[:TRAINING]
        with Session(wandb_server) as session:
            for name in names:
                session.log(settings.project, name, 0, {"score": 1.0})
        before = proxy.counts.total()
        changed = [len(tracker.read()) for _ in range(int(60 / tracker.interval))]
        for _ in range(int(60 / ASK_EVERY)):
            assert tracker.read_intake() == "open"
        requests = proxy.counts.total() - before
    assert changed[0] == TRAINING
    assert set(changed[1:]) == {0}
    assert requests < 30
    print(f"{requests} requests a minute at {RUNS} runs, {TRAINING} of them training")  # noqa: T201


@pytest.mark.slow
def test_more_waiting_runs_than_a_filter_takes_are_asked_for_in_turn(
    wandb_server: ServerProcess, settings: SweepSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multistage.wandb_client.run_reader.LOOK_EVERY", 0.0)
    many = settings.model_copy(update={"budget": 7000, "project": "many"})
    connection = Connection(wandb_server.url, wandb_server.key, "local", many.project)
    tracker = track(connection, fill(wandb_server, connection, many, 2100), many)
    tracker.read()
    deleted = list(tracker.records)[1900]
    connection.api.run(f"{connection.path}/{deleted}").delete()
    for _ in range(8):
        tracker.read()
    assert [run.run_id for run in tracker.records.values() if run.phase != "queued"] == [deleted]
    assert tracker.records[deleted].phase == "lost"


@pytest.mark.parametrize("status", [429, pytest.param(503, marks=pytest.mark.slow)])
def test_a_server_that_asks_for_patience_is_asked_less_and_less(
    status: int, wandb_server: ServerProcess, settings: SweepSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multistage.wandb_client.connection.REQUEST_TIMEOUT", 2)
    with CountingProxy(wandb_server.port) as proxy:
        connection = Connection(proxy.url, wandb_server.key, "local", settings.project)
        tracker = track(connection, fill(wandb_server, connection, settings, 3), settings)
        tracker.read()
        usual, waits = tracker.interval, []
        proxy.refusal, before = status, proxy.counts.total()
        for _ in range(3):
            with pytest.raises(TrackerError) as refused:
                tracker.read()
            tracker.wait_out(refused.value)
            waits.append(tracker.interval)
        requests = proxy.counts.total() - before
        proxy.refusal = None
        tracker.read()
    assert waits == [usual * 2, usual * 4, usual * 8]
    assert requests <= 12, "the client's own retries are few"
    assert (tracker.interval, len(tracker.records)) == (usual, 3)


@pytest.mark.parametrize(
    "trouble",
    [ServiceError("The W&B server was not ready.", "Look."), UsageError("No address."), OSError(28, "No space left")],
)
def test_a_server_that_cannot_be_started_yet_is_sat_out_too(
    trouble: Exception,
    wandb_server: ServerProcess,
    settings: SweepSettings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    monkeypatch.setattr(sweep_tracker, "time", SimpleNamespace(monotonic=lambda: now[0]))
    connection = Connection(wandb_server.url, wandb_server.key, "local", settings.project)
    sweep_id = fill(wandb_server, connection, settings, 1)
    stage = plan_sweep(settings).stages[0]

    def fail() -> None:
        raise trouble

    tracker = SweepTracker(connection, sweep_id, settings, stage, fail)
    gone = TrackerError("It is away.", "Resume.")
    while now[0] <= LONGEST_OUTAGE:
        tracker.wait_out(gone)
        now[0] += 600
    assert [record.getMessage() for record in caplog.records] == [f"The W&B server cannot be started yet: {trouble}"]
    with pytest.raises(TrackerError) as given_up:
        tracker.wait_out(gone)
    assert (given_up.value.message, given_up.value.hint) == (f"It is away. {trouble}", "Resume.")


@pytest.mark.slow
def test_an_hour_without_a_server_is_sat_out_and_two_and_more_are_not(
    settings: SweepSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is really gone, and really back; only the clock is not waited for."""
    now = [time.monotonic()]
    monkeypatch.setattr(sweep_tracker, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("multistage.wandb_client.connection.REQUEST_TIMEOUT", 1)
    with ServerProcess(tmp_path) as server:
        connection = Connection(server.url, server.key, "local", settings.project)
        tracker = track(connection, fill(server, connection, settings, 3), settings)
        tracker.read()
        usual, records = tracker.interval, dict(tracker.records)
        server.kill()
        away, looks = now[0], 0
        while now[0] - away < 3600:
            with pytest.raises(TrackerError) as gone:
                tracker.read()
            tracker.wait_out(gone.value)
            looks += 1
            now[0] += tracker.interval if looks < 10 else 1500
        assert tracker.interval == LONGEST_INTERVAL
        server.start()
        assert tracker.read() == []
        assert (tracker.records, tracker.interval) == (records, usual)

        tracker.wait_out(gone.value)
        now[0] += LONGEST_OUTAGE + 1
        with pytest.raises(TrackerError):
            tracker.wait_out(gone.value)
