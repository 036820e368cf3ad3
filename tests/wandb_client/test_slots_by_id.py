"""A slot's run is known by its id, whatever its script makes of name, tags and config; on the embedded server."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from multistage.domain.runs.slots import SlotName
from multistage.domain.space.parameters import FloatParameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import StagePlan, SweepSettings, plan_sweep
from multistage.driver import sweep_tracker
from multistage.driver.sweep_tracker import SweepTracker
from multistage.errors import TrackerError
from multistage.wandb_client import run_reader as run_reading
from multistage.wandb_client import sweep_calls
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.slot_ledger import SlotLedger
from multistage.wandb_client.sweep_calls import build_sweep_config, create_sweep, decode_run_id
from multistage.wandb_client.worker_lookup import read_workers
from multistage.worker.conventions import WORKER_VARIABLE
from tests.server_process import ServerProcess
from tests.states import make_settings

SCRIPT = """
import os
import wandb
with wandb.init(
    name="lr0.1__1__1700000000", tags=["mine"], group="g", job_type="train", notes="all of it", config={"x": 0.123}
) as run:
    value = run.config["x"]
    run.config.update({"x": 7.5, "seed": "none of yours"}, allow_val_change=True)
    run.log({"score": value})
"""
SPACE = SearchSpace(parameters=(FloatParameter(name="x", low=0, high=1),))
VALUES = (0.25, 0.5, 0.75)


@pytest.fixture(scope="module")
def connection(wandb_server: ServerProcess) -> Iterator[Connection]:
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in wandb_server.environment.items():
            if name.startswith("WANDB_"):
                patch.setenv(name, value)
        yield Connection(wandb_server.url, wandb_server.key, "local", "by-id")
        wandb.teardown()
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture
def settings(tmp_path: Path) -> SweepSettings:
    (tmp_path / "train.py").write_text(SCRIPT)
    program = str(tmp_path / "train.py")
    return make_settings(space=SPACE, metric="score", program=program, project="by-id", seed_parameter="seed")


@pytest.fixture
def stage(settings: SweepSettings) -> StagePlan:
    return plan_sweep(settings).stages[0]


@pytest.fixture
def sweep_id(connection: Connection, settings: SweepSettings, stage: StagePlan, tmp_path: Path) -> str:
    return create_sweep(connection, build_sweep_config(settings, stage, settings.space, tmp_path.name))


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


class Orchestrator:
    """What drives a sweep, in one of its lives."""

    def __init__(self, connection: Connection, sweep_id: str, settings: SweepSettings, path: Path | None, **more: Any):
        stage = plan_sweep(settings).stages[0]
        ledger = SlotLedger(path) if path else None
        self.tracker = SweepTracker(connection, sweep_id, settings, stage, lambda: None, ledger=ledger, **more)

    def enqueue(self, index: int, x: float) -> None:
        self.tracker.enqueue(SlotName(stage=1, index=index), {"x": x}, 100 + index)

    def look(self) -> dict[int, tuple[str, Any, Any, Any]]:
        self.tracker.complete()
        self.tracker.read()
        records = self.tracker.records.values()
        return {run.name.index: (run.phase, run.config.get("x"), run.seed, run.value) for run in records}


def train(server: ServerProcess, connection: Connection, sweep_id: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "multistage.worker", "--sweep", f"{connection.path}/{sweep_id}", "--idle", "1.5"],
        env=server.environment | {WORKER_VARIABLE: "w-1"}, cwd=folder, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_script_that_overwrites_all_that_it_can_is_counted_slot_by_slot(
    connection: Connection, settings: SweepSettings, sweep_id: str, ledger_path: Path, wandb_server: ServerProcess
) -> None:
    first = Orchestrator(connection, sweep_id, settings, ledger_path)
    for index, x in enumerate(VALUES):
        first.enqueue(index, x)
    assert first.look() == {index: ("queued", x, 100 + index, None) for index, x in enumerate(VALUES)}
    log = train(wandb_server, connection, sweep_id, ledger_path.parent)
    done = {index: ("finished", x, 100 + index, x) for index, x in enumerate(VALUES)}
    assert first.look() == done
    assert Orchestrator(connection, sweep_id, settings, ledger_path).look() == done, "after a resume, too"
    runs = connection.api.runs(connection.path, filters={"sweep": sweep_id})
    assert {run.name for run in runs} == {"lr0.1__1__1700000000"}
    assert read_workers(connection, sweep_id) == {run.id: "w-1" for run in runs}
    for run in runs:
        assert f"Run {run.id} was handed out." in log


def test_a_sweep_without_a_ledger_knows_its_runs_by_name_and_by_config(
    connection: Connection, settings: SweepSettings, sweep_id: str, tmp_path: Path, wandb_server: ServerProcess
) -> None:
    """As a release before the ledger left it: queued runs have their names, trained ones those of the script."""
    script = Path(settings.program or "")
    script.write_text(SCRIPT.replace('    run.config.update({"x": 7.5', '    run.config.update({"y": 7.5'))
    old = Orchestrator(connection, sweep_id, settings, tmp_path / "thrown away")
    old.enqueue(0, VALUES[0])
    old.enqueue(1, VALUES[1])
    train(wandb_server, connection, sweep_id, tmp_path)
    old.enqueue(2, VALUES[2])
    planned = [{"x": x} for x in VALUES]
    new = Orchestrator(connection, sweep_id, settings, tmp_path / "new", planned=planned)
    assert {index: run[0] for index, run in new.look().items()} == {0: "finished", 1: "finished", 2: "queued"}
    new.enqueue(3, 0.9)
    again = Orchestrator(connection, sweep_id, settings, tmp_path / "new", planned=planned)
    assert again.look()[3][0] == "queued"
    assert again.look()[2][0] == "queued"


@pytest.mark.parametrize("answered", [False, True], ids=["the request was lost", "the answer was lost"])
def test_a_run_that_was_asked_for_and_not_written_down_is_found_or_asked_for_again(
    connection: Connection,
    settings: SweepSettings,
    sweep_id: str,
    ledger_path: Path,
    wandb_server: ServerProcess,
    monkeypatch: pytest.MonkeyPatch,
    answered: bool,
) -> None:
    """The orchestrator is killed in the instant in which only the server could know; its run is even trained then."""
    killed = Orchestrator(connection, sweep_id, settings, ledger_path)
    killed.enqueue(0, VALUES[0])
    real = sweep_calls.enqueue_run

    def die(*arguments: Any) -> str | None:
        if answered:
            real(*arguments)
        raise TrackerError("killed")

    monkeypatch.setattr(sweep_tracker, "enqueue_run", die)
    with pytest.raises(TrackerError, match="killed"):
        killed.enqueue(1, VALUES[1])
    monkeypatch.setattr(sweep_tracker, "enqueue_run", real)
    train(wandb_server, connection, sweep_id, ledger_path.parent)
    phase = "finished" if answered else "queued"
    resumed = Orchestrator(connection, sweep_id, settings, ledger_path)
    assert {index: run[:2] for index, run in resumed.look().items()} == {
        0: ("finished", VALUES[0]),
        1: (phase, VALUES[1]),
    }
    resumed.enqueue(2, VALUES[2])
    assert len(connection.api.runs(connection.path, filters={"sweep": sweep_id})) == 3


def test_an_answer_that_is_a_node_id_is_read_or_looked_up(
    connection: Connection,
    settings: SweepSettings,
    sweep_id: str,
    ledger_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def encode(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    assert decode_run_id("a1b2c3d4") == "a1b2c3d4"
    assert decode_run_id(encode("Run:v1:a1b2c3d4:my-project:me")) == "a1b2c3d4"
    assert decode_run_id(encode("Run:1234")) is None
    assert decode_run_id(encode("no run")) == encode("no run")
    real = sweep_calls.enqueue_run
    monkeypatch.setattr(sweep_tracker, "enqueue_run", lambda *given: decode_run_id(encode(f"Run:{real(*given)}")))
    orchestrator = Orchestrator(connection, sweep_id, settings, ledger_path)
    for index, x in enumerate(VALUES):
        orchestrator.enqueue(index, x)
    assert {index: run[:2] for index, run in orchestrator.look().items()} == {
        index: ("queued", x) for index, x in enumerate(VALUES)
    }


def test_a_run_that_the_lists_do_not_show_yet_is_queued_until_it_was_missed_for_long(
    connection: Connection,
    settings: SweepSettings,
    sweep_id: str,
    ledger_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orchestrator = Orchestrator(connection, sweep_id, settings, ledger_path)
    orchestrator.enqueue(0, VALUES[0])
    [run_id] = orchestrator.tracker.records
    connection.api.run(f"{connection.path}/{run_id}").delete()
    later = Orchestrator(connection, sweep_id, settings, ledger_path)
    assert [later.look()[0][0] for _ in range(3)] == ["queued"] * 3
    assert not later.tracker.read_all()
    monkeypatch.setattr(run_reading, "ARRIVAL", -1.0)
    gone = Orchestrator(connection, sweep_id, settings, ledger_path)
    gone.enqueue(1, VALUES[1])
    assert [gone.look()[0][0] for _ in range(4)][-1] == "lost"
    assert gone.look()[1][0] == "queued"


def test_a_server_that_finds_nothing_by_time_is_read_whole_before_anything_is_given_up(
    connection: Connection,
    settings: SweepSettings,
    sweep_id: str,
    ledger_path: Path,
    wandb_server: ServerProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What W&B's index does with a time that it cannot read, and other servers with a filter that they do not know."""
    orchestrator = Orchestrator(connection, sweep_id, settings, ledger_path)
    real = run_reading.RunReader._list
    monkeypatch.setattr(
        run_reading.RunReader,
        "_list",
        lambda self, filters: [] if "$and" in filters and len(filters["$and"]) > 1 else real(self, filters),
    )
    for index, x in enumerate(VALUES):
        orchestrator.enqueue(index, x)
    orchestrator.look()
    train(wandb_server, connection, sweep_id, ledger_path.parent)
    orchestrator.tracker.read()
    assert orchestrator.tracker.read_all()
    assert {run.phase for run in orchestrator.tracker.records.values()} == {"finished"}
    assert not orchestrator.tracker.read_all()
    assert orchestrator.tracker.describe_count() == "3 runs (3 finished)"
    monkeypatch.setattr(run_reading.RunReader, "_count", lambda _: 4)
    with pytest.raises(TrackerError, match=r"counts 4 runs in sweep .* and lists 3"):
        orchestrator.tracker.read_all()
