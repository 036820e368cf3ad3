"""A sweep in a shell that means harm to it: proxies, offline modes, leftovers of single runs, another interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget
from tests.flows.recording_proxy import RecordingProxy

SCRIPT = """
import os, sys, urllib.request
import wandb
with wandb.init() as run:
    run.log({"score": -(run.config["x"] - 0.3) ** 2})
    run.summary["seen"] = {"wandb": wandb.__version__, "prefix": sys.prefix, "home": os.environ.get("VIRTUAL_ENV"),
                           "name": os.environ.get("WANDB_NAME")}
    try:
        urllib.request.urlopen("http://elsewhere.example/data", timeout=5)
    except OSError as error:
        run.summary["elsewhere"] = str(error)
"""
SWEEP = ("my:script", "--program", "train.py", "--params", "x:0-1", "--budget", "10", "--metric", "score", "--json")
LEFTOVERS = {"WANDB_MODE": "offline", "WANDB_RESUME": "must", "WANDB_NAME": "mine", "WANDB_RUN_ID": "earlier",
             "WANDB_SWEEP_PARAM_PATH": "/nowhere/config.yaml", "WANDB_DISABLED": "true"}  # fmt: skip


@pytest.mark.slow
def test_local_services_are_reached_past_proxies_and_runs_go_online(tmp_path: Path, workplace: Path) -> None:
    """With services of its own, which are started in that shell, too."""
    Path("train.py").write_text(SCRIPT)
    (Path("wandb")).mkdir()
    (Path("wandb") / "settings").write_text("[default]\nmode = disabled\nbase_url = http://elsewhere.example\n")
    user = CommandLine(tmp_path / "user")
    user.settings.home.parent.mkdir()
    try:
        with RecordingProxy() as proxy:
            done = user.run(*SWEEP, timeout=280, variables={**LEFTOVERS, **proxy.variables})
        result = json.loads(done.stdout)
        runs = check_budget(user, SweepFolder(workplace / "runs" / "multistage_sweep_my_script"), lost=0)
    finally:
        left = user.end()
    assert not left, left
    assert result["status"] == "completed"
    assert "WANDB_MODE=offline is overridden" in done.stderr
    assert {run.summary["seen"]["name"] for run in runs} == {None}
    # What is elsewhere is asked of the proxy, what is here is not.
    assert {run.summary["elsewhere"] for run in runs} == {"HTTP Error 502: Bad Gateway"}
    assert proxy.asked.count("GET http://elsewhere.example/data") == len(runs)
    assert [asked for asked in proxy.asked if "127.0.0.1" in asked or "localhost" in asked] == []


@pytest.mark.slow
def test_trainings_have_another_interpreter_with_an_older_client(
    commands: CommandLine, workplace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other") / "env"
    subprocess.run([sys.executable, "-m", "venv", other], check=True)
    subprocess.run([other / "bin" / "python", "-m", "pip", "install", "-q", "wandb==0.26.1"], check=True)
    Path("train.py").write_text(SCRIPT)
    done = commands.run(*SWEEP, "--python", str(other), timeout=280, variables={"PYTHONHOME": ""})
    assert json.loads(done.stdout)["status"] == "completed"
    runs = check_budget(commands, SweepFolder(workplace / "runs" / "multistage_sweep_my_script"), lost=0)
    seen = {json.dumps(run.summary["seen"], sort_keys=True) for run in runs}
    assert [json.loads(one) for one in seen] == [
        {"wandb": "0.26.1", "prefix": str(other), "home": str(other), "name": None}
    ]
