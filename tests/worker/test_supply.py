"""When a worker knows that its sweep has nothing left for anybody."""

import logging

import pytest
import wandb

from multistage.worker import supply
from multistage.worker.supply import Supply
from tests.queued_sweeps import PROJECT, list_runs, queue_runs
from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session


@pytest.fixture
def at_home(api: wandb.Api, monkeypatch: pytest.MonkeyPatch) -> wandb.Api:
    """The client, in a worker's environment."""
    monkeypatch.setenv("WANDB_ENTITY", str(api.default_entity))
    monkeypatch.setenv("WANDB_PROJECT", PROJECT)
    return api


def test_the_supply_is_used_up_when_the_last_planned_run_has_begun(
    at_home: wandb.Api, wandb_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supply, "ASK_EVERY", 0.0)
    sweep = queue_runs(at_home, "train.py", [{"x": 0}, {"x": 1}], planned=2)
    ours = Supply(sweep.rpartition("/")[2])
    with Session(wandb_server) as session:
        for run in list_runs(sweep).values():
            assert not ours.is_used_up(at_home)
            session.log(PROJECT, run.id, 0, {"score": 1.0})
    assert ours.is_used_up(at_home)


def test_a_sweep_without_a_plan_may_always_have_more(at_home: wandb.Api) -> None:
    sweep = queue_runs(at_home, "train.py", [])
    assert not Supply(sweep.rpartition("/")[2]).is_used_up(at_home)


def test_whoever_gets_no_answer_waits(at_home: wandb.Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "multistage.worker.supply"):
        assert not Supply("no-such").is_used_up(at_home)
    assert "cannot be counted" in caplog.text
