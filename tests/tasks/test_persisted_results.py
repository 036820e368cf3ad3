"""Kept results are read whatever module their classes stand in, those of earlier releases too."""

import json
from pathlib import Path
from typing import Any

import pytest
from prefect.filesystems import LocalFileSystem
from prefect.results import ResultStore

from multistage.domain.space.narrowing import Narrowing
from multistage.domain.sweep.state import StageCount, TopConfig
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.pipeline.tasks.persisted_results import KINDS, ResultSerializer, upgrade_results
from tests.states import make_settings, make_stage
from tests.workers import make_local

TOP = TopConfig(config={"kind": 1, "data": 2}, value=0.5, run_id="r1")
RESULTS: dict[str, Any] = {
    "stage1-create_sweep-1": "abc",
    "stage1-launch_workers-1": [make_local("w-1", 7, 1.5)],
    "stage1-wait_for_runs-1": StageCount(used=3, failed=0, attempts_lost=1),
    "stage1-fetch_top_configs-1": [TOP],
    "stage1-narrow_ranges-1": Narrowing(space=make_settings().space, notes=()),
    "stage1-mirror_state-1": make_stage(1),
}
EARLIER_WORKER = {
    "launcher": "local", "worker_id": "w-1", "pid": 7, "process_started_at": 1.5, "sweep": "me/work/abc",
    "log": "/logs/1.log", "launched_at": "2026-01-02T12:00:00Z",
}  # fmt: skip
MODULES = {"StageCount": "state", "StageRecord": "state", "TopConfig": "state", "Narrowing": "narrowing"}


def open_store(folder: Path) -> ResultStore:
    return ResultStore(result_storage=LocalFileSystem(basepath=folder), serializer=ResultSerializer())


def write_as_earlier(folder: Path, key: str, result: Any) -> None:
    """Write a result as Prefect's own serializer did, under the names of then."""

    def pack(one: Any) -> dict[str, Any]:
        if isinstance(one, WorkerRecord):
            return {"__class__": "multistage.domain.workers.LocalWorker", "data": EARLIER_WORKER}
        name = f"multistage.domain.{MODULES[type(one).__name__]}.{type(one).__name__}"
        return {"__class__": name, "data": one.model_dump(mode="json")}

    serializer = {
        "type": "json",
        "jsonlib": "json",
        "object_decoder": "prefect.serializers.prefect_json_object_decoder",
    }
    metadata = {"storage_key": str(folder / key), "expiration": None, "serializer": serializer}
    written = {"metadata": {**metadata, "prefect_version": "3.8.8"}, "result": json.dumps(result, default=pack)}
    (folder / key).write_text(json.dumps(written))


def read_all(folder: Path) -> dict[str, Any]:
    store = open_store(folder)
    return {key: store.read(key).result for key in RESULTS}


def test_results_are_read_back_and_name_no_module(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for key, result in RESULTS.items():
        store.write(result, key=key)
    assert read_all(tmp_path) == RESULTS
    assert not [path.name for path in tmp_path.iterdir() if "multistage." in path.read_text()]
    assert {model.__name__ for model in KINDS.values()} == {type(_first(one)).__name__ for one in RESULTS.values()} - {
        "str"
    }


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, list) else result


def test_results_of_earlier_releases_are_read_once_they_are_upgraded(tmp_path: Path) -> None:
    for key, result in RESULTS.items():
        write_as_earlier(tmp_path, key, result)
    assert isinstance(read_all(tmp_path)["stage1-launch_workers-1"][0], dict), "silently no worker at all"
    for _ in range(2):  # again, as by a second resume
        upgrade_results(tmp_path)
        assert read_all(tmp_path) == RESULTS


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"metadata": 1}', b'{"__class__": "a.B", "data": {}}'])
def test_what_is_no_result_of_a_step_is_left_alone(tmp_path: Path, content: bytes) -> None:
    for name in ("stage1-odd-1", "0123456789abcdef"):
        (tmp_path / name).write_bytes(content)
    upgrade_results(tmp_path)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {content}


def test_an_unknown_result_is_neither_kept_nor_guessed() -> None:
    with pytest.raises(TypeError, match="cannot store a PosixPath"):
        ResultSerializer().dumps(Path())
    with pytest.raises(ValueError, match="which this release does not know"):
        ResultSerializer().loads(b'{"kind": "later", "data": "{}"}')
