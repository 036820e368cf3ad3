import os
import sys
from types import SimpleNamespace

import psutil
import pytest

from multistage.introduction.usage import count_gpus, list_trainings, measure_memory
from tests import fake_nvml


def test_memory_is_measured_and_what_is_gone_takes_none() -> None:
    own = psutil.Process()
    assert measure_memory([own]) > 10_000_000
    assert measure_memory([]) == 0


def test_below_a_worker_that_is_gone_nothing_trains() -> None:
    assert list_trainings(2**22 - 1) == []


def test_gpus_are_counted_on_which_a_training_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nvml.install(monkeypatch, gpus=3)
    pids = {0: [os.getpid()], 1: [os.getpid(), 1], 2: [1]}
    monkeypatch.setattr(
        sys.modules["pynvml"],
        "nvmlDeviceGetComputeRunningProcesses",
        lambda handle: [SimpleNamespace(pid=pid) for pid in pids[handle]],
        raising=False,
    )
    assert count_gpus([psutil.Process()]) == 2
    assert count_gpus([]) == 0


def test_without_a_driver_no_gpu_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nvml.install(monkeypatch, gpus=0)
    assert count_gpus([psutil.Process()]) is None
