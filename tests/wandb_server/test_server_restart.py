"""The server dies and comes back while real clients work."""

import time
from pathlib import Path

import pytest
import wandb

from tests.server_process import ServerProcess
from tests.wandb_server.contract_sweeps import get_path, list_runs, make_sweep
from tests.wandb_server.wandb_clients import running_agent, wait_for

ROWS = 400


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Read the `app_url` setting:DeprecationWarning")
def test_runs_and_agents_go_on_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ServerProcess(tmp_path) as server:
        for name, value in server.environment.items():
            if name.startswith("WANDB_"):
                monkeypatch.setenv(name, value)
        api = wandb.Api(timeout=30)
        sweep = make_sweep(api, "restart", mode="slow")
        for index in range(2):
            sweep.enqueue_run({"lr": {"value": 0.1}, "rows": {"value": ROWS}}, display_name=str(index))
        with running_agent(server.environment, tmp_path, get_path(sweep), count=2) as agent:
            wait_for(lambda: list_runs(api, sweep, **{"summary_metrics.train/step": {"$gt": 20}}), 60)
            server.kill()
            # How long it is away: long enough for heartbeats and rows to be refused.
            time.sleep(4)
            server.start()
            assert agent.wait(120) == 0
        runs = list_runs(api, sweep)
        assert [(run.name, run.state) for run in runs] == [("0", "finished"), ("1", "finished")]
        for run in runs:
            assert [row["train/step"] for row in run.scan_history(keys=["train/step"])] == list(range(ROWS))
        wandb.teardown()
