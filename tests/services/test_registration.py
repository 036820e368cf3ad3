"""What a Prefect server is told of this project: once, and again only where it differs."""

import pytest
from prefect.events.schemas.automations import Automation

from multistage.pipeline.flows.multistage_sweep import multistage_sweep
from multistage.pipeline.flows.single_sweep import single_sweep
from multistage.pipeline.flows.stage import sweep_stage
from multistage.services import PrefectServer
from multistage.services.heartbeats import AUTOMATION, FLOWS
from multistage.services.prefect_client import open_prefect_client
from multistage.services.prefect_worker import WORK_POOL
from multistage.services.registration import register_with_prefect


def read_automation(server: PrefectServer) -> Automation:
    with open_prefect_client(server) as client:
        (found,) = client.read_automations_by_name(AUTOMATION)
        return found


def test_the_pool_and_the_watch_are_made_once_and_kept_true(
    prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_with_prefect(prefect_server)
    first = read_automation(prefect_server)
    with open_prefect_client(prefect_server) as client:
        assert client.read_work_pool(WORK_POOL).type == "process"
    register_with_prefect(prefect_server)
    assert read_automation(prefect_server) == first

    monkeypatch.setattr("multistage.services.heartbeats.MISSED_HEARTBEATS", 5)
    register_with_prefect(prefect_server)
    changed = read_automation(prefect_server)
    assert changed.id == first.id
    assert changed.trigger != first.trigger


def test_every_flow_is_watched() -> None:
    assert set(FLOWS) == {flow.name for flow in (multistage_sweep, single_sweep, sweep_stage)}
