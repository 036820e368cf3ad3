"""The GPUs of a machine as NVML and AMD's driver tell them, and what trainings see of them."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import wandb

from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers import gpus
from multistage.launchers.gpus import Gpus, find_gpus
from multistage.launchers.local.gpu_dealer import GpuDealer
from multistage.launchers.local.launcher import LocalLauncher
from multistage.launchers.local.records import read_local
from tests import fake_nvml
from tests.queued_sweeps import client_variables, list_all_runs, queue_runs, wait_until, write_script
from tests.workers import make_local

CUDA, HIP, ROCR = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"
UUID, PART = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "MIG-41b36413-260e-54d1-bf08-fd5ff8a44b7f"


@pytest.mark.parametrize(
    ("told", "devices"),
    [
        ({}, ("0", "1", "2", "3")),
        ({CUDA: "2,3"}, ("2", "3")),
        ({CUDA: " 3 , 0 "}, ("3", "0")),
        ({CUDA: f"{UUID},1"}, (UUID, "1")),
        ({CUDA: PART}, (PART,)),
        ({CUDA: ""}, ()),
        ({CUDA: "-1"}, ()),
        ({CUDA: "NoDevFiles"}, ()),
        ({CUDA: "1,7,2"}, ("1",)),
        ({CUDA: "0,-1,1"}, ("0",)),
        ({HIP: "1"}, ("0", "1", "2", "3")),
    ],
)
def test_a_list_is_read_as_cuda_reads_it(
    told: dict[str, str], devices: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_nvml.install(monkeypatch, gpus=4)
    assert (find_gpus(told).devices, find_gpus(told).variable) == (devices, CUDA)


def test_split_gpus_are_named_by_their_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nvml.install(monkeypatch, gpus=3, parts=[["MIG-a", "MIG-b"]])
    assert find_gpus({}).devices == ("GPU-0", "GPU-1", "MIG-a", "MIG-b")
    assert find_gpus({}).describe() == "4 GPUs (Tesla T4)"


def test_without_a_driver_a_list_that_is_left_over_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nvml.install(monkeypatch, gpus=0)
    assert find_gpus({CUDA: "0,1"}) == Gpus()
    assert find_gpus({}).describe() == "no GPU"


@pytest.mark.parametrize(
    ("told", "variable", "devices"),
    [
        ({}, HIP, ("0", "1")),
        ({HIP: "1"}, HIP, ("1",)),
        ({ROCR: "1,0"}, ROCR, ("1", "0")),
        ({CUDA: "1"}, CUDA, ("1",)),
        ({HIP: "0", ROCR: "1"}, HIP, ("0",)),
    ],
)
def test_amds_gpus_have_variables_of_their_own(
    told: dict[str, str], variable: str, devices: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_nvml.install(monkeypatch, gpus=0)
    for node, gpu_id in enumerate((0, 4711, 815)):
        (tmp_path / str(node)).mkdir()
        (tmp_path / str(node) / "gpu_id").write_text(f"{gpu_id}\n")
    monkeypatch.setattr(gpus, "AMD_NODES", tmp_path)
    assert (find_gpus(told).variable, find_gpus(told).devices) == (variable, devices)


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[list[WorkerRecord]]:
    """Workers that end with the test."""
    records: list[WorkerRecord] = []
    yield records
    LocalLauncher(tmp_path).stop(records)


WAITING = """
with wandb.init() as run:
    run.summary["gpus"] = os.environ.get("CUDA_VISIBLE_DEVICES")
    run.log({"score": 1.0})
    while not os.path.exists(sys.argv[1].partition("=")[2]):
        time.sleep(0.1)
"""


def test_a_replacement_gets_the_free_gpu_also_after_another_process_has_taken_over(
    api: wandb.Api,
    tracker: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    launched: list[WorkerRecord],
) -> None:
    fake_nvml.install(monkeypatch, gpus=3)
    monkeypatch.setenv(CUDA, f"2,{UUID}")
    script, end = write_script(tmp_path / "train.py", WAITING), tmp_path / "end"
    sweep = queue_runs(api, script, [{"until": str(end), "x": x} for x in range(3)])

    def open_launcher() -> LocalLauncher:
        dealer = GpuDealer(None, 2, lambda: launched, find_gpus())
        return LocalLauncher(tmp_path / "logs", environment=client_variables(tracker), dealer=dealer)

    def read_seen() -> list[str]:
        return sorted(run.summary["gpus"] for run in list_all_runs(sweep) if "gpus" in run.summary)

    with closing(open_launcher()) as first:
        records = list(first.launch(sweep, 3))
        launched.extend(records)
    assert [read_local(one).gpus for one in records] == [("2",), (UUID,)], "no third worker on two GPUs"
    wait_until(lambda: read_seen() == sorted(["2", UUID]), "both trainings")
    doomed = records[1]
    for process in (
        psutil.Process(read_local(doomed).pid),
        *psutil.Process(read_local(doomed).pid).children(recursive=True),
    ):
        os.kill(process.pid, signal.SIGKILL)
    with closing(open_launcher()) as second:
        wait_until(lambda: not second.is_alive(doomed), "the worker's end")
        (replacement,) = second.launch(sweep, 1)
        launched.append(replacement)
        assert read_local(replacement).gpus == (UUID,)
        assert list(second.launch(sweep, 1)) == []
    wait_until(lambda: read_seen() == sorted(["2", UUID, UUID]), "the third training")
    end.touch()


def test_shares_are_dealt_evenly_and_nothing_where_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nvml.install(monkeypatch, gpus=2)
    here = psutil.Process()

    def deal(count: int, gpus_per_run: float | None = None) -> list[tuple[str, ...] | None]:
        dealer = GpuDealer(gpus_per_run, count, lambda: (), find_gpus())
        dealt = []
        for index in range(count):
            dealt.append(dealer.deal())
            gpus = list(dealt[-1] or ())
            dealer.note(make_local(str(index), here.pid, here.create_time(), gpus=gpus))
        return dealt

    assert deal(4, gpus_per_run=0.5) == [("0",), ("1",), ("0",), ("1",)]
    assert deal(3) == [("0",), ("1",), ("0",)]
    assert deal(1) == [("0", "1")]
    assert deal(2, gpus_per_run=2) == [("0", "1"), None]
    assert deal(2, gpus_per_run=0) == [(), ()]
