"""A sweep that waits for approval, on a real Prefect server that takes it for dead, or is away for a moment."""

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import httpx
import pytest
from prefect import flow, pause_flow_run
from prefect.client.orchestration import SyncPrefectClient
from prefect.flow_runs import resume_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.states import Crashed

from multistage.pipeline.tasks import approval_watch
from multistage.pipeline.tasks.approval_watch import ApprovalWatch
from multistage.services import PrefectServer
from multistage.services.prefect_client import open_prefect_client

T = TypeVar("T")


class Ranges(RunInput):
    lr: str = "1-2"


@pytest.fixture
def prefect(
    prefect_server: PrefectServer, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SyncPrefectClient]:
    monkeypatch.setattr(approval_watch, "INTERVAL", 0.2)
    with open_prefect_client(prefect_server) as client:
        yield client


def wait_for(look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + 30
    while (found := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def find_form(client: SyncPrefectClient, run_id: UUID) -> dict[str, str] | None:
    """Find the keyset of a form that can be answered."""
    state = client.read_flow_run(run_id).state
    keyset = state.state_details.run_input_keyset if state is not None and state.is_paused() else None
    try:
        return keyset if keyset and client.read_flow_run_input(run_id, keyset["schema"]) else None
    except httpx.HTTPStatusError:  # it is saved right after the pause
        return None


def ask_while(disturb: Callable[[UUID], None], until: datetime | None = None) -> tuple[str, bool]:
    """Ask as `await_approval` does, while another thread disturbs; returns the answer, and whether time was over."""

    @flow
    def ask() -> tuple[str, bool]:
        run_id = UUID(str(flow_run.id))
        thread = threading.Thread(target=contextvars.copy_context().run, args=(disturb, run_id))
        thread.start()
        with ApprovalWatch(run_id, "stage2-1", until) as watch:
            answer = pause_flow_run(wait_for_input=Ranges, timeout=60, poll_interval=1, key="stage2-1")
        thread.join()
        return answer.lr, watch.expired.is_set()

    return ask()


def test_one_that_prefect_took_for_dead_is_answered_by_the_same_form(
    prefect: SyncPrefectClient, caplog: pytest.LogCaptureFixture
) -> None:
    def disturb(run_id: UUID) -> None:
        form = wait_for(lambda: find_form(prefect, run_id))
        prefect.set_flow_run_state(run_id, Crashed(message="Its process was not heard from for 540 s."))
        assert wait_for(lambda: find_form(prefect, run_id)) == form
        resume_flow_run(run_id, run_input={"lr": "3-4"})

    assert ask_while(disturb) == ("3-4", False)
    assert "it goes on waiting" in caplog.text


def test_its_time_ends_although_prefect_took_it_for_dead(prefect: SyncPrefectClient) -> None:
    def disturb(run_id: UUID) -> None:
        wait_for(lambda: find_form(prefect, run_id))
        prefect.set_flow_run_state(run_id, Crashed(message="Its process was not heard from for 540 s."))

    assert ask_while(disturb, datetime.now(UTC) + timedelta(seconds=3)) == ("1-2", True)


def test_its_time_ends_although_the_server_was_away(
    prefect: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refused = [0]

    def refuse(run_id: UUID, run_input: dict[str, object]) -> None:
        refused[0] += 1
        if refused[0] < 3:
            raise httpx.ConnectError("All connection attempts failed")
        resume_flow_run(run_id, run_input=run_input)

    monkeypatch.setattr(approval_watch, "resume_flow_run", refuse)
    assert ask_while(lambda _: None, datetime.now(UTC) + timedelta(seconds=2)) == ("1-2", True)
    assert caplog.text.count("All connection attempts failed") == 1
