"""Runs change servers: offline ones come in, and one goes on to another server, which stands in for W&B."""

import os
from pathlib import Path

import pytest

from multistage.errors import UsageError
from multistage.services.embedded import WandbServer
from multistage.services.run_transfer import export_run, import_runs
from tests.server_process import ServerProcess
from tests.wandb_server.wandb_clients import run_script

OFFLINE = """
import json, pathlib, wandb
pathlib.Path("note.txt").write_text("kept")
names = {"name": "mine", "tags": ["a"], "notes": "why", "config": {"lr": 0.1, "deep": {"n": 3}}}
with wandb.init(project="moved", mode="offline", **names) as run:
    for step in range(1500):
        run.log({"x": step, "half": step / 2}, step=2 * step)
    run.save("note.txt")
    run.summary["best"] = 7
print(json.dumps(run.id))
"""
READ = """
import json, wandb
run = wandb.Api().run({path!r})
rows = [[row["_step"], row["x"], row["half"]] for row in run.scan_history(keys=["_step", "x", "half"])]
files = {{file.name: file.size for file in run.files()}}
config = {{key: value for key, value in run.config.items() if not key.startswith("_")}}
print(json.dumps([run.name, run.tags, run.notes, config, run.summary["best"], run.state, rows, files.get("note.txt")]))
"""


@pytest.fixture(autouse=True)
def _variables() -> object:
    """What a connection sets in this process is put back."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.slow
def test_a_run_comes_from_an_offline_folder_and_goes_on_to_another_server(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    with ServerProcess(here) as server, ServerProcess(there) as wandb:
        own = WandbServer(url=server.url, key=server.key, pid=os.getpid(), started=False)
        run_id = run_script(server.environment, tmp_path, OFFLINE)
        (sent,) = import_runs(tmp_path, own)
        assert run_id in sent
        assert import_runs(tmp_path, own) == []
        came = run_script(server.environment, tmp_path, READ.format(path=f"local/moved/{run_id}"))
        assert came[:6] == ["mine", ["a"], "why", {"lr": 0.1, "deep": {"n": 3}}, 7, "finished"]
        assert came[6] == [[2 * step, step, step / 2] for step in range(1500)]
        assert came[7] == len("kept")

        os.environ.update(WANDB_BASE_URL=server.url, WANDB_API_KEY=server.key)
        with pytest.raises(UsageError, match="not logged in"):
            export_run(f"local/moved/{run_id}", own)
        os.environ.update(WANDB_BASE_URL=wandb.url, WANDB_API_KEY=wandb.key)
        assert export_run(f"local/moved/{run_id}", own) == f"{wandb.url}/local/moved/runs/{run_id}"
        assert run_script(wandb.environment, tmp_path, READ.format(path=f"local/moved/{run_id}")) == came


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run of an offline client"):
        import_runs(tmp_path, WandbServer(url="http://127.0.0.1:1", key="k", pid=os.getpid(), started=False))
