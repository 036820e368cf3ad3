"""Early termination: the embedded server decides as W&B's own engine, the package ``sweeps``, does."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from multistage.domain.sweep.sweep_config import read_plan
from multistage.wandb_server.early_stop import EarlyStop
from multistage.wandb_server.lifecycle import Lifecycle, Timing
from multistage.wandb_server.nodes import get_run
from multistage.wandb_server.store import Store

DECIDE = """
import json, sys
import sweeps
from sweeps.run import RunState, SweepRun
answers = []
for case in json.load(sys.stdin):
    runs = [
        SweepRun(name=str(index), state=RunState.running, history=[{"loss": value} for value in values])
        for index, values in enumerate(case["histories"])
    ]
    config = {"method": "random", "metric": {"name": "loss", "goal": case["goal"]},
              "early_terminate": case["early_terminate"], "parameters": {"a": {"min": 0.0, "max": 1.0}}}
    answers.append(sorted(int(run.name) for run in sweeps.stop_runs(config, runs)))
print(json.dumps(answers))
"""


def make_case(seed: int) -> dict[str, Any]:
    """Histories of some runs, with ties, gaps and values that are no numbers, and any settings."""
    dice = random.Random(seed)
    early: dict[str, Any] = {"type": "hyperband", "strict": dice.random() < 0.5, "eta": dice.choice([1.5, 2, 3, 4])}
    early |= dice.choice([{"min_iter": 1}, {"min_iter": 3}, {"max_iter": 27, "s": 2}, {"max_iter": 30, "s": 4}])
    values = [*(float(dice.randrange(20)) for _ in range(40)), float("nan"), None]
    histories = [[dice.choice(values) for _ in range(dice.randrange(40))] for _ in range(dice.randrange(2, 12))]
    return {"goal": dice.choice(["minimize", "maximize"]), "early_terminate": early, "histories": histories}


def decide(folder: Path, case: dict[str, Any]) -> list[int]:
    """The runs that the server would stop, asked about each when it has seen the histories of all."""
    config = {"method": "custom", "metric": {"name": "loss", "goal": case["goal"]}}
    plan = read_plan({**config, "early_terminate": case["early_terminate"]})
    assert plan.hyperband is not None
    store = Store(folder / "wandb.sqlite")
    early_stop = EarlyStop(store, Lifecycle(store, Timing()))
    made = {"created_at": 0, "state": "running"}
    project = store.insert("projects", entity="local", name="p", created_at=0)
    sweep_id = store.insert("sweeps", project_id=project, name="s", config="", updated_at=0, **made)
    sweep = store.one("SELECT * FROM sweeps WHERE id = ?", (sweep_id,))
    assert sweep is not None
    ids = [
        store.insert("runs", project_id=project, name=str(index), sweep="s", heartbeat_at=store.tick(), **made)
        for index in range(len(case["histories"]))
    ]
    for run_id, history in zip(ids, case["histories"], strict=True):
        early_stop.follow(sweep, plan.hyperband, plan.goal, get_run(store, run_id), 0, history)
    store.execute("UPDATE runs SET stop_requested = 0")
    for run_id, history in zip(ids, case["histories"], strict=True):
        early_stop.follow(sweep, plan.hyperband, plan.goal, get_run(store, run_id), len(history), [None])
    stopped = [index for index, run_id in enumerate(ids) if get_run(store, run_id)["stop_requested"]]
    store.close()
    return stopped


@pytest.mark.slow
def test_the_server_stops_whom_wandbs_engine_stops(tmp_path: Path, engine: Path) -> None:
    cases = [make_case(seed) for seed in range(60)]
    command = [str(engine / "python"), "-W", "ignore", "-c", DECIDE]
    done = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True, check=True, timeout=120)
    expected = json.loads(done.stdout.strip().rpartition("\n")[2])
    found = []
    for index, case in enumerate(cases):
        (tmp_path / str(index)).mkdir()
        found.append(decide(tmp_path / str(index), case))
    assert found == expected
    assert sum(bool(stopped) for stopped in expected) > 20
