"""The contract of sweeps: made, fed, run by W&B's agent, stopped."""

from pathlib import Path
from typing import Any

import pytest
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from tests.contract.leftovers import name_project
from tests.wandb_server.contract_sweeps import get_path, get_state, list_runs, make_sweep, run_function_agent
from tests.wandb_server.wandb_clients import run_command, running_agent, wait_for

pytestmark = [
    pytest.mark.contract,
    # wandb.sweep() warns of its own use of it.
    pytest.mark.filterwarnings("ignore:Read the `app_url` setting:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def project() -> str:
    return name_project()


def test_queued_runs_are_taken_in_order(api: Any, project: str, tracker: dict[str, str], tmp_path: Path) -> None:
    sweep = make_sweep(api, project)
    assert sweep.state == "PENDING"
    rates = [0.1, 0.3, 0.2]
    for index, rate in enumerate(rates):
        assert sweep.enqueue_run({"lr": {"value": rate}}, display_name=f"s1-{index:04d}")
    with running_agent(tracker, tmp_path, get_path(sweep), count=3) as agent:
        assert agent.wait(90) == 0
    runs = list_runs(api, sweep)
    assert [(run.name, run.config["lr"], run.state) for run in runs] == [
        ("s1-0000", 0.1, "finished"),
        ("s1-0001", 0.3, "finished"),
        ("s1-0002", 0.2, "finished"),
    ]
    assert get_state(sweep) == "RUNNING"
    assert sweep.best_run().config["lr"] == 0.3
    assert len(sweep.agents()) == 1
    assert len(sweep.agents()[0].runs()) == 3
    assert [run.name for run in list_runs(api, sweep, **{"config.lr": {"$gte": 0.2}})] == ["s1-0001", "s1-0002"]


@pytest.mark.slow
def test_several_agents_share_the_queue(api: Any, project: str, tracker: dict[str, str], tmp_path: Path) -> None:
    sweep = make_sweep(api, project)
    for index in range(4):
        sweep.enqueue_run({"lr": {"value": index / 10}}, display_name=str(index))
    with (
        running_agent(tracker, tmp_path, get_path(sweep)) as first,
        running_agent(tracker, tmp_path, get_path(sweep)) as second,
    ):
        wait_for(lambda: len(list_runs(api, sweep, state="finished")) == 4, 60)
        run_command(tracker, tmp_path, "sweep", "--stop", get_path(sweep))
        assert (first.wait(30), second.wait(30)) == (0, 0)
    assert sorted(run.name for run in list_runs(api, sweep)) == ["0", "1", "2", "3"]
    assert get_state(sweep) == "FINISHED"


def test_stopped_sweep_lets_its_run_finish_and_takes_no_more(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path
) -> None:
    sweep = make_sweep(api, project)
    sweep.enqueue_run({"lr": {"value": 0.1}})
    sweep.enqueue_run({"lr": {"value": 0.2}})
    run_command(tracker, tmp_path, "sweep", "--stop", get_path(sweep))
    with running_agent(tracker, tmp_path, get_path(sweep)) as agent:
        assert agent.wait(60) == 0
    assert [run.state for run in list_runs(api, sweep)] == ["pending", "pending"]
    with pytest.raises(WandbApiFailedError, match="takes no more runs"):
        sweep.enqueue_run({"lr": {"value": 0.3}})


def test_cancelled_sweep_kills_its_run(api: Any, project: str, tracker: dict[str, str], tmp_path: Path) -> None:
    sweep = make_sweep(api, project, mode="hang")
    sweep.enqueue_run({"lr": {"value": 0.1}})
    with running_agent(tracker, tmp_path, get_path(sweep)) as agent:
        wait_for(lambda: list_runs(api, sweep, **{"summary_metrics.score": {"$exists": True}}), 60)
        run_command(tracker, tmp_path, "sweep", "--cancel", get_path(sweep))
        assert agent.wait(30) == 0
    assert get_state(sweep) == "CANCELED"
    # A last report that arrives after the agent has left keeps the run alive for `Timing.detached_grace`.
    wait_for(lambda: list_runs(api, sweep)[0].state == "killed", 60)


@pytest.mark.slow
def test_paused_sweep_waits_until_it_is_resumed(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path
) -> None:
    sweep = make_sweep(api, project)
    run_command(tracker, tmp_path, "sweep", "--resume", get_path(sweep))
    run_command(tracker, tmp_path, "sweep", "--pause", get_path(sweep))
    assert get_state(sweep) == "PAUSED"
    sweep.enqueue_run({"lr": {"value": 0.1}})
    with running_agent(tracker, tmp_path, get_path(sweep), count=1) as agent:
        wait_for(lambda: sweep.agents() and sweep.agents()[0].state == "RUNNING", 60)
        assert [run.state for run in list_runs(api, sweep)] == ["pending"]
        run_command(tracker, tmp_path, "sweep", "--resume", get_path(sweep))
        assert agent.wait(60) == 0
    assert [run.state for run in list_runs(api, sweep)] == ["finished"]


def test_stopped_run_ends_and_the_agent_goes_on(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path
) -> None:
    sweep = make_sweep(api, project, mode="hang")
    sweep.enqueue_run({"lr": {"value": 0.1}}, display_name="first")
    sweep.enqueue_run({"lr": {"value": 0.2}}, display_name="second")
    with running_agent(tracker, tmp_path, get_path(sweep)):
        [run] = wait_for(lambda: list_runs(api, sweep, **{"summary_metrics.score": {"$exists": True}}), 60)
        run.stop()
        wait_for(lambda: [run.state for run in list_runs(api, sweep)] == ["killed", "running"], 60)


def test_run_that_dies_is_crashed_and_the_next_one_comes(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path
) -> None:
    sweep = make_sweep(api, project, mode="die")
    for index in range(2):
        sweep.enqueue_run({"lr": {"value": index}}, display_name=str(index))
    with running_agent(tracker, tmp_path, get_path(sweep), count=2) as agent:
        assert agent.wait(90) == 0
    wait_for(lambda: [run.state for run in list_runs(api, sweep)][:1] == ["crashed"], 60)


def test_failed_run_keeps_its_error(api: Any, project: str, tracker: dict[str, str], tmp_path: Path) -> None:
    sweep = make_sweep(api, project, mode="fail")
    sweep.enqueue_run({"lr": {"value": 0.1}})
    with running_agent(tracker, tmp_path, get_path(sweep), count=1) as agent:
        assert agent.wait(60) == 0
    assert [run.state for run in list_runs(api, sweep)] == ["failed"]


@pytest.mark.slow
def test_sweep_file_and_agent_function(api: Any, tracker: dict[str, str], project: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(
        "program: train.py\nmethod: custom\nname: from a file\nscheduler: {engine: none}\n"
        "parameters: {lr: {min: 0.0, max: 1.0}}\n"
    )
    printed = run_command(tracker, tmp_path, "sweep", "--project", project, "sweep.yaml")
    path = printed.partition("wandb agent ")[2].split()[0]
    sweep = api.sweep(path)
    assert sweep.name == "from a file"
    sweep.enqueue_run({"lr": {"value": 0.5}})
    run_function_agent(tracker, tmp_path, sweep, 1, "run.log({'score': run.config.lr * 2})")
    [run] = list_runs(api, sweep)
    assert run.state == "finished"
    assert run.summary["score"] == 1.0
