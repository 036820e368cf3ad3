"""Sweeps and runs through the real client, on the embedded server."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from multistage.domain.runs.results import Config
from multistage.domain.runs.slots import RunPhase, RunRecord, SlotName
from multistage.domain.space.parameters import (
    FloatParameter,
)
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import AdoptedSweep, StagePlan, SweepSettings, plan_sweep
from multistage.domain.sweep.sweep_config import count_planned
from multistage.domain.sweep.sweep_file import read_sweep_file
from multistage.errors import TrackerError, UsageError
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.run_archive import RunArchive
from multistage.wandb_client.run_reader import RunReader
from multistage.wandb_client.sweep_calls import (
    DELETED,
    build_sweep_config,
    cap_runs,
    create_sweep,
    end_sweep,
    enqueue_run,
    find_sweep,
    finish_sweep,
    open_sweep,
    read_sweep,
    read_sweep_state,
    reopen_sweep,
    take_up_sweep,
)
from tests.server_process import ServerProcess
from tests.states import make_settings
from tests.wandb_server.server_requests import Session

SCRIPT = """
import math
import wandb
with wandb.init() as run:
    x = run.config["x"]
    if x == 0.9:
        raise RuntimeError("no such x")
    for value in (x, 2 * x, math.nan if x == 0.5 else x / 2):
        run.log({"score": value, "other": 1})
"""
SPACE = SearchSpace(parameters=(FloatParameter(name="x", low=0, high=1),))


@pytest.fixture(scope="module")
def connection(wandb_server: ServerProcess) -> Iterator[Connection]:
    """A connection of this module's own; this process's environment is given back afterwards."""
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in wandb_server.environment.items():
            if name.startswith("WANDB_"):
                patch.setenv(name, value)
        yield Connection(wandb_server.url, wandb_server.key, "local", "client-tests")
        wandb.teardown()
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture
def settings(tmp_path: Path) -> SweepSettings:
    (tmp_path / "train.py").write_text(SCRIPT)
    return make_settings(
        space=SPACE, metric="score", program=str(tmp_path / "train.py"), project="client-tests", seed_parameter="seed"
    )


def find_stage(settings: SweepSettings) -> StagePlan:
    return plan_sweep(settings).stages[0]


def make_sweep(connection: Connection, settings: SweepSettings, name: str) -> str:
    return create_sweep(connection, build_sweep_config(settings, find_stage(settings), settings.space, name))


def train(server: ServerProcess, connection: Connection, sweep_id: str, folder: Path) -> None:
    """Work on a sweep's queue until it is empty."""
    done = subprocess.run(
        [sys.executable, "-m", "multistage.worker", "--sweep", f"{connection.path}/{sweep_id}", "--idle", "1.5"],
        env=server.environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def enqueue(connection: Connection, sweep_id: str, values: list[float], first: int = 0) -> None:
    sweep = open_sweep(connection, sweep_id)
    for index, x in enumerate(values, first):
        enqueue_run(connection, sweep, str(SlotName(stage=1, index=index)), {"x": x, "seed": index}, {"fixed": "yes"})


def by_index(reader: RunReader) -> dict[int, RunRecord]:
    return {record.name.index: record for record in reader.records.values()}


def test_a_sweep_is_found_by_its_unique_name_and_no_other(connection: Connection, settings: SweepSettings) -> None:
    assert find_sweep(connection, "mine stage 1 (0badcafe)") is None
    created = make_sweep(connection, settings, "mine stage 1 (0badcafe)")
    assert find_sweep(connection, "mine stage 1 (0badcafe)") == created
    assert find_sweep(connection, "mine stage 1 (0badcaff)") is None


def test_a_project_that_does_not_exist_has_no_sweep(connection: Connection) -> None:
    nowhere = Connection(connection.base_url, os.environ["WANDB_API_KEY"], "local", "no-such-project")
    assert find_sweep(nowhere, "anything") is None


def test_a_sweep_is_finished_twice_and_opened_again(connection: Connection, settings: SweepSettings) -> None:
    sweep_id = make_sweep(connection, settings, "to be finished")
    reopen_sweep(connection, sweep_id)
    assert read_sweep_state(connection, sweep_id) == "PENDING"
    for _ in range(2):
        finish_sweep(connection, sweep_id)
        assert read_sweep_state(connection, sweep_id) == "FINISHED"
    with pytest.raises(TrackerError, match="finished"):
        enqueue(connection, sweep_id, [0.1])
    reopen_sweep(connection, sweep_id)
    enqueue(connection, sweep_id, [0.1])


def test_runs_are_read_as_they_are_queued_and_as_they_end(
    connection: Connection, settings: SweepSettings, wandb_server: ServerProcess, tmp_path: Path
) -> None:
    """Queued runs show at once; later reads give what changed, and only that."""
    sweep_id = make_sweep(connection, settings, "read")
    archive = RunArchive(tmp_path / "archive" / "read.jsonl")
    reader = RunReader(connection, sweep_id, settings, find_stage(settings), archive=archive)
    assert reader.read() == []
    enqueue(connection, sweep_id, [0.2, 0.9, 0.5])
    assert len(reader.read()) == 3
    queued = by_index(reader)
    assert [record.phase for record in queued.values()] == ["queued"] * 3
    assert {index: (record.config, record.seed) for index, record in queued.items()} == {
        0: ({"x": 0.2}, 0), 1: ({"x": 0.9}, 1), 2: ({"x": 0.5}, 2),
    }  # fmt: skip
    assert reader.read() == []

    train(wandb_server, connection, sweep_id, tmp_path)
    assert len(reader.read()) == 3
    ended = by_index(reader)
    assert {index: record.run_id for index, record in ended.items()} == {
        index: record.run_id for index, record in queued.items()
    }
    assert [ended[index].phase for index in range(3)] == ["finished", "failed", "finished"]
    assert ended[0].value == 0.1
    assert ended[0].logged == ("other", "score")
    assert ended[1].value is None
    assert ended[2].value is not None
    assert math.isnan(ended[2].value)

    enqueue(connection, sweep_id, [0.4], first=3)
    assert [record.name.index for record in reader.read()] == [3]
    assert len(reader.records) == 4

    for how, expected in (("best", 0.4), ("mean:2", 0.25)):
        other = RunReader(connection, sweep_id, settings.model_copy(update={"metric_value": how}), find_stage(settings))
        other.read()
        assert by_index(other)[0].value == pytest.approx(expected)

    def resume() -> tuple[RunReader, set[int]]:
        """Read as another process does later: the reader, and the slots that the tracker was asked for."""
        later = RunReader(connection, sweep_id, settings, find_stage(settings), archive=archive)
        known = dict(later.records)
        asked = {record.name.index for record in later.read() if record.run_id not in known}
        now, before = by_index(later), by_index(reader)
        assert {index: run.model_dump_json() for index, run in now.items()} == {
            index: run.model_dump_json() for index, run in before.items()
        }
        assert str(now[2].value) == "nan"
        return later, asked

    assert resume()[1] == {1, 3}, "finished runs are not read again"
    path = tmp_path / "archive" / "read.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2].rpartition(b"\n")[2] + b'{"cursor": "2')
    assert resume()[1] == {1, 3}, "a line that was never finished is left out"
    path.write_text("damaged\n")
    assert resume()[1] == {0, 1, 2, 3}
    connection.api.run(f"{connection.path}/{ended[0].run_id}").delete()
    later = RunReader(connection, sweep_id, settings, find_stage(settings), archive=archive)
    later.read()
    assert set(by_index(later)) == {1, 2, 3}, "a run that is gone is not believed in"


def test_nested_values_and_lists_are_queued_as_they_stand_and_read_back(
    connection: Connection, settings: SweepSettings
) -> None:
    file = read_sweep_file(
        {
            "method": "random",
            "parameters": {
                "optimizer": {"parameters": {"lr": {"min": 0.1, "max": 1.0}, "momentum": {"value": 0.9}}},
                "layers": {"values": [[1, 2], None]},
            },
        }
    )
    nested = settings.model_copy(update={"space": file.space, "fixed": file.fixed, "layout": file.layout})
    described = build_sweep_config(nested, find_stage(nested), file.space, "nested")
    assert described["parameters"] == {
        "optimizer": {
            "parameters": {
                "momentum": {"value": 0.9},
                "lr": {"distribution": "uniform", "min": 0.1, "max": 1.0},
            }
        },
        "layers": {"values": [[1, 2], None]},
    }
    sweep_id = create_sweep(connection, described)
    config: Config = {"optimizer.lr": 0.5, "layers": "[1, 2]"}
    sweep = open_sweep(connection, sweep_id)
    enqueue_run(connection, sweep, str(SlotName(stage=1, index=0)), config, nested.fixed, nested.layout)
    reader = RunReader(connection, sweep_id, nested, find_stage(nested))
    (record,) = reader.read()
    assert record.config == config
    run = connection.api.run(f"{connection.path}/{record.run_id}")
    assert run.config == {"optimizer": {"lr": 0.5, "momentum": 0.9}, "layers": [1, 2]}


def test_a_sweep_is_capped_and_left_as_it_was_found(connection: Connection, settings: SweepSettings) -> None:
    config = {"method": "random", "parameters": {"x": {"min": 0.0, "max": 1.0}}, "program": "train.py"}
    sweep_id = create_sweep(connection, config)
    before = read_sweep(connection, sweep_id)
    adopted = AdoptedSweep(sweep_id=sweep_id, state=before.state, runs=0)
    cap_runs(connection, sweep_id, 5)
    assert read_sweep(connection, sweep_id).config["run_cap"] == 5
    finish_sweep(connection, sweep_id)
    end_sweep(connection, sweep_id, adopted)
    after = read_sweep(connection, sweep_id)
    assert (after.config, after.state) == (before.config, "RUNNING")
    with pytest.raises(UsageError, match="no sweep local/client-tests/no-such"):
        read_sweep(connection, "no-such")


def test_a_sweep_that_is_taken_up_plans_for_a_grown_budget(connection: Connection, settings: SweepSettings) -> None:
    stage = find_stage(settings)
    sweep_id = make_sweep(connection, settings, "grown")
    before = read_sweep(connection, sweep_id).config
    grown = stage.model_copy(update={"runs": stage.runs + 5})
    take_up_sweep(connection, sweep_id, build_sweep_config(settings, grown, settings.space, "grown"))
    after = read_sweep(connection, sweep_id).config
    assert (count_planned(before), count_planned(after)) == (stage.runs, stage.runs + 5)
    assert {**after, "scheduler": None} == {**before, "scheduler": None}


def test_a_sweep_that_is_not_there_any_more_has_ended(connection: Connection) -> None:
    assert read_sweep_state(connection, "no-such") == DELETED
    finish_sweep(connection, "no-such")
    reopen_sweep(connection, "no-such")


def test_runs_that_are_deleted_are_lost_to_their_slots(
    connection: Connection, settings: SweepSettings, wandb_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that trains is missed at the next looks, one that waits when the queue is looked at."""
    monkeypatch.setattr("multistage.wandb_client.run_reader.LOOK_EVERY", 0.0)
    sweep_id = make_sweep(connection, settings, "deleted")
    enqueue(connection, sweep_id, [0.1, 0.2, 0.3])
    reader = RunReader(connection, sweep_id, settings, find_stage(settings))
    reader.read()
    queued = by_index(reader)
    with Session(wandb_server) as session:
        session.log("client-tests", queued[0].run_id, 0, {"score": 1.0})
    reader.read()
    assert by_index(reader)[0].phase == "active"
    for index in (0, 1):
        connection.api.run(f"{connection.path}/{queued[index].run_id}").delete()
    for _ in range(2):
        reader.read()
    assert [record.phase for record in by_index(reader).values()] == ["lost", "lost", "queued"]
    assert by_index(reader)[1].error == "The run was deleted."
    assert reader.read() == []


@pytest.mark.parametrize(
    ("ends", "phase"),
    [
        ({"complete": True, "exitcode": 0}, "finished"),
        ({"complete": True, "exitcode": 1}, "failed"),
        ({"complete": True, "exitcode": 255}, "lost"),
        ({"preempting": True, "complete": True, "exitcode": 1}, "queued"),
    ],
)
def test_however_a_run_ends_it_is_read_as_ended(
    connection: Connection, settings: SweepSettings, wandb_server: ServerProcess, ends: dict[str, Any], phase: RunPhase
) -> None:
    sweep_id = make_sweep(connection, settings, f"ends {ends}")
    enqueue(connection, sweep_id, [0.1])
    reader = RunReader(connection, sweep_id, settings, find_stage(settings))
    reader.read()
    run_id = by_index(reader)[0].run_id
    with Session(wandb_server) as session:
        session.log("client-tests", run_id, 0, {"score": 1.0})
        session.report("client-tests", run_id, **ends)
    (ended,) = reader.read()
    assert ended.phase == phase


def test_a_run_started_by_hand_is_no_slot(connection: Connection, settings: SweepSettings) -> None:
    sweep_id = make_sweep(connection, settings, "by hand")
    sweep = open_sweep(connection, sweep_id)
    enqueue_run(connection, sweep, "somebody's own", {"x": 0.3}, {})
    reader = RunReader(connection, sweep_id, settings, find_stage(settings))
    assert reader.read() == []
    assert not reader.records


def test_an_absent_server_is_a_tracker_error_with_the_way_on(
    settings: SweepSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ServerProcess(tmp_path) as server:
        for name, value in server.environment.items():
            if name.startswith("WANDB_"):
                monkeypatch.setenv(name, value)
        away = Connection(server.url, server.key, "local", "p")
        sweep_id = make_sweep(away, settings, "left alone")
        reader = RunReader(away, sweep_id, settings, find_stage(settings))
        reader.read()
    monkeypatch.setattr("multistage.wandb_client.connection.REQUEST_TIMEOUT", 2)
    away._api = None
    with pytest.raises(TrackerError, match=server.url) as caught:
        reader.read()
    assert "--resume" in caught.value.hint
    assert server.key not in str(caught.value)
