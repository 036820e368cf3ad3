"""NVIDIA's management library as it is with other GPUs than this machine's."""

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest


class NVMLError(Exception):
    """As of the real one."""


def install(patch: pytest.MonkeyPatch, gpus: int, parts: Sequence[Sequence[str]] = ()) -> None:
    """Stand in for ``pynvml``: so many GPUs, 0 without a driver; the last ones split into parts of these ids."""
    nvml: Any = ModuleType("pynvml")
    first_split = gpus - len(parts)

    def init() -> None:
        if not gpus:
            raise NVMLError("NVML Shared Library Not Found")

    def mode(handle: int) -> list[int]:
        if handle == 0:
            raise NVMLError("Not Supported")
        return [int(handle >= first_split), 0]

    def part(handle: int, index: int) -> str:
        ids = parts[handle - first_split]
        if index >= len(ids):
            raise NVMLError("Not Found")
        return ids[index]

    nvml.NVMLError = NVMLError
    nvml.NVML_DEVICE_MIG_ENABLE = 1
    nvml.nvmlInit = init
    nvml.nvmlShutdown = lambda: None
    nvml.nvmlDeviceGetCount = lambda: gpus
    nvml.nvmlDeviceGetHandleByIndex = lambda index: index
    nvml.nvmlDeviceGetName = lambda _handle: b"Tesla T4"
    nvml.nvmlDeviceGetMigMode = mode
    nvml.nvmlDeviceGetMaxMigDeviceCount = lambda _handle: 7
    nvml.nvmlDeviceGetMigDeviceHandleByIndex = part
    nvml.nvmlDeviceGetUUID = lambda handle: handle if isinstance(handle, str) else f"GPU-{handle}"
    patch.setitem(sys.modules, "pynvml", nvml)
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        patch.delenv(name, raising=False)
