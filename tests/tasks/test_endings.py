"""How a flow ends that is refused or broken off, as a real Prefect server has it: in a sentence, and never crashed."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import State, flow, flow_engine
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import CancelledRun
from prefect.logging.handlers import APILogHandler
from prefect.runtime import flow_run
from prefect.states import Cancelled, Cancelling, Running

from multistage.errors import UsageError
from multistage.pipeline.flows.multistage_sweep import multistage_sweep
from multistage.pipeline.flows.single_sweep import single_sweep
from multistage.pipeline.flows.stage import sweep_stage
from multistage.pipeline.tasks.cancel_watch import CancelWatch
from multistage.pipeline.tasks.endings import SUPERVISOR, end_in_words, stop_workers
from multistage.pipeline.tasks.interruptions import ignore_signals, keep_signals
from multistage.services import PrefectServer
from multistage.services.prefect_client import open_prefect_client


@pytest.fixture
def prefect(prefect_server: PrefectServer, workplace: Path) -> Iterator[SyncPrefectClient]:
    with open_prefect_client(prefect_server) as client:
        yield client


@pytest.fixture
def own_sigterm() -> Iterator[None]:
    """As the command line has it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


def find_run(client: SyncPrefectClient, name: str) -> FlowRun:
    runs = client.read_flow_runs(limit=50, sort=FlowRunSort.EXPECTED_START_TIME_DESC)
    return next(run for run in runs if run.name == name)


def read_log(client: SyncPrefectClient, run_id: UUID) -> str:
    APILogHandler().flush()
    logs = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])))
    return "\n".join(log.message for log in logs)


def test_a_misspelled_config_id_fails_in_a_sentence(prefect: SyncPrefectClient) -> None:
    with pytest.raises(UsageError, match="digits:mpl"):
        multistage_sweep(config_id="digits:mpl", params="alpha", tracker="embedded")
    run = find_run(prefect, "digits:mpl")
    assert run.state is not None
    assert run.state.name == "Failed"
    assert (run.state.message or "").startswith("No bundled trainer has the config id 'digits:mpl'.")
    log = read_log(prefect, run.id)
    assert log.count(run.state.message or "") == 2, "once, and once in Prefect's closing line"
    assert "Traceback" not in log
    assert "UsageError(" not in log


INTERRUPT = """
import signal, multistage.pipeline.flows.multistage_sweep
flows = sys.modules["multistage.pipeline.flows.multistage_sweep"]
flows.open_sweep = lambda parameters: signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.parametrize(
    ("before", "words"), [("", "No bundled trainer has the config id 'digits:mpl'."), (INTERRUPT, "Interrupted.")]
)
def test_a_deployments_run_tells_once_and_in_words_why_it_ended(
    prefect: SyncPrefectClient, prefect_server: PrefectServer, before: str, words: str
) -> None:
    parameters = {"config_id": "digits:mpl", "params": "alpha", "tracker": "embedded"}
    run = prefect.create_flow_run(multistage_sweep, parameters=parameters)
    unheard = """
import runpy, sys, prefect._internal.control_listener as listener
listener.engine_outcome_is_handled = lambda: False
"""
    unheard += before + "runpy.run_module('multistage.pipeline', run_name='__main__')"
    entrypoint = {"PREFECT__FLOW_ENTRYPOINT": f"{multistage_sweep.fn.__module__}.{multistage_sweep.fn.__name__}"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", unheard, str(run.id)],
        env=os.environ | prefect_server.list_variables() | entrypoint,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    for log in (told, read_log(prefect, run.id)):
        assert log.count(words) == 2, "once, and once in Prefect's closing line"
        assert "unexpected" not in log
        assert "Traceback" not in log


def test_what_is_interrupted_is_cancelled_wherever_it_stands(prefect: SyncPrefectClient) -> None:
    @flow(flow_run_name="body", on_crashed=[stop_workers])
    @end_in_words
    def interrupted(config_id: str) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(CancelledRun, match="Interrupted"):
        interrupted("some:thing")

    @flow(flow_run_name="around", on_crashed=[stop_workers])
    def interrupted_around(config_id: str) -> None:
        signal.raise_signal(signal.SIGINT)  # as where Prefect is busy before a flow's body, or after it

    with pytest.raises(KeyboardInterrupt):
        interrupted_around("some:thing")
    for name in ("body", "around"):
        state = find_run(prefect, name).state
        assert state is not None
        assert (state.name, state.message) == ("Cancelled", "Interrupted.")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interruption_that_prefect_drops_comes_again(
    prefect: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multistage.pipeline.tasks.interruptions.PATIENCE", 0.2)
    heartbeats = flow_engine._send_heartbeats

    @contextmanager
    def interrupt_at_the_end(engine: Any) -> Iterator[None]:
        with heartbeats(engine):
            yield
        if engine.flow.name == "closed":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(flow_engine, "_send_heartbeats", interrupt_at_the_end)
    dropped = []

    @flow(name="closed")
    @end_in_words
    def succeeds(config_id: str) -> None:
        pass

    @flow(flow_run_name="drops one")
    @end_in_words
    def goes_on(config_id: str) -> bool:
        succeeds(config_id)
        dropped.append(True)
        return threading.Event().wait(30)

    @flow
    def composed() -> None:  # a user's own
        with pytest.raises(CancelledRun, match="Interrupted"):
            goes_on("some:thing")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    composed()
    assert dropped, "Prefect has let it through: then nothing needs to be sent again"
    assert find_run(prefect, "drops one").state_name == "Cancelled"
    assert signal.set_wakeup_fd(-1) == -1
    assert "watch for lost signals" not in {thread.name for thread in threading.enumerate()}


def test_whoever_presses_ctrl_c_again_and_again_reads_no_complaint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multistage.pipeline.tasks.interruptions.PATIENCE", 0.05)
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    with keep_signals():
        ignore_signals()
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
            threading.Event().wait(0.2)  # longer than the patience
    assert complaints == []


def test_an_event_loop_around_a_flow_still_hears_of_signals() -> None:
    heard, told = socket.socketpair()
    with heard, told:
        told.setblocking(False)
        before = signal.set_wakeup_fd(told.fileno())
        try:
            with keep_signals():
                assert signal.set_wakeup_fd(told.fileno()) == told.fileno()
        finally:
            assert signal.set_wakeup_fd(before) == told.fileno()


@pytest.mark.usefixtures("own_sigterm")
def test_a_supervisor_that_means_to_go_on_is_left_to_it(
    prefect: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SUPERVISOR, "reschedule")

    @flow(flow_run_name="supervised")
    @end_in_words
    def supervised(config_id: str) -> None:
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        supervised("some:thing")
    assert find_run(prefect, "supervised").state_name == "Crashed"


@pytest.mark.usefixtures("own_sigterm")
@pytest.mark.parametrize("asked", [Cancelling(), Cancelled()], ids=["running", "paused"])
def test_a_cancel_on_prefects_pages_reaches_a_sweep_of_a_terminal(prefect: SyncPrefectClient, asked: State) -> None:
    @flow(flow_run_name=f"asked to be {asked.name}")
    @end_in_words
    def cancelled(config_id: str) -> bool:
        with CancelWatch(UUID(str(flow_run.id))):
            prefect.set_flow_run_state(UUID(str(flow_run.id)), asked, force=True)
            return threading.Event().wait(30)

    with pytest.raises(CancelledRun, match="Interrupted"):
        cancelled("some:thing")
    state = find_run(prefect, f"asked to be {asked.name}").state
    assert state is not None
    assert (state.name, state.message) == ("Cancelled", "Interrupted.")


def test_an_interruption_of_ones_own_is_no_cancel(prefect: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bool] = []
    enough = threading.Event()
    look = CancelWatch._look

    def note(watch: CancelWatch, client: SyncPrefectClient) -> bool:
        looks.append(look(watch, client))
        if len(looks) > 1:
            enough.set()
        return looks[-1]

    monkeypatch.setattr("multistage.pipeline.tasks.cancel_watch.INTERVAL", 0.1)
    monkeypatch.setattr(CancelWatch, "_look", note)

    @flow(flow_run_name="announces itself")
    def interrupted() -> bool:
        own = UUID(str(flow_run.id))
        prefect.set_flow_run_state(own, Cancelling(message="Interrupted. Resume with: x"), force=True)
        with CancelWatch(own):
            found = enough.wait(60)
        prefect.set_flow_run_state(own, Running(), force=True)
        return found

    assert interrupted()
    assert not any(looks)


def test_every_flow_is_described_in_a_few_lines() -> None:
    for one in (multistage_sweep, single_sweep, sweep_stage):
        assert one.description is not None
        assert 50 < len(one.description) < 500
    assert "logs" in (multistage_sweep.description or "")
