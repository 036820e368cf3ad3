"""The GPUs of this machine: found without torch, and dealt out to workers."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from multistage.domain.model import Model
from multistage.domain.workers.gpu_shares import GpuShare, choose_gpus, share_gpus, split_gpu
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.local.records import is_local, read_local
from multistage.launchers.local.worker_processes import find_processes, find_worker

CUDA_VARIABLE = "CUDA_VISIBLE_DEVICES"
AMD_VARIABLES = ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", CUDA_VARIABLE)
"""Which AMD's libraries read; the first one that is set counts."""
AMD_NODES = Path("/sys/class/kfd/kfd/topology/nodes")
"""Where Linux lists AMD's GPUs, among the processors, whose id is 0."""


class Gpus(Model):
    """The GPUs that trainings may use."""

    devices: tuple[str, ...] = ()
    """As the variable names them."""
    variable: str = CUDA_VARIABLE
    """By which a process is told its own."""
    names: tuple[str, ...] = ()
    """What they are called, where that is known: all of the machine's."""
    is_told: bool = False
    """Whether that variable was set, so that these may be fewer than the machine's."""

    def describe(self) -> str:
        """Say in a few words how many there are."""
        if not self.devices and not self.is_told:
            return "no GPU"
        kinds = f" ({', '.join(dict.fromkeys(self.names))})" if self.names else ""
        of = f" in {self.variable}" if self.is_told else ""
        return f"{len(self.devices) or 'no'} GPU{'s' if len(self.devices) > 1 else ''}{of}{kinds}"


def find_gpus(environment: Mapping[str, str] | None = None) -> Gpus:
    """Find the GPUs that trainings may use: what the user's variable lists, else all of this machine's.

    Args:
        environment: Variables; this process's own by default.
    """
    told = os.environ if environment is None else environment
    devices, names = _list_nvidia()
    variables: tuple[str, ...] = (CUDA_VARIABLE,)
    if not devices:
        devices, names, variables = _list_amd(), (), AMD_VARIABLES
    if not devices:
        return Gpus()
    variable = next((name for name in variables if name in told), None)
    if variable is None:
        return Gpus(devices=devices, variable=variables[0], names=names)
    return Gpus(devices=_read_list(told[variable], devices), variable=variable, names=names, is_told=True)


def _read_list(text: str, devices: Sequence[str]) -> tuple[str, ...]:
    """Read a list of devices as CUDA does: up to the first index that names none; ids of other forms are taken."""
    listed: list[str] = []
    for word in (word.strip() for word in text.split(",")):
        is_index = word.removeprefix("-").isdigit()
        if not word or (is_index and word not in map(str, range(len(devices)))) or word == "NoDevFiles":
            break
        listed.append(word)
    return tuple(dict.fromkeys(listed))


def _list_nvidia() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """List NVIDIA's GPUs by index, or by id where some are split (MIG), and their names; none without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return (), ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        names = tuple(_read_text(pynvml.nvmlDeviceGetName(handle)) for handle in handles)
        parts = [_list_parts(handle) for handle in handles]
        if not any(part is not None for part in parts):
            return tuple(map(str, range(len(handles)))), names
        ids = [
            [_read_text(pynvml.nvmlDeviceGetUUID(handle))] if part is None else part
            for handle, part in zip(handles, parts, strict=True)
        ]
        return tuple(one for some in ids for one in some), names
    except pynvml.NVMLError:  # a driver that is broken, or was just updated
        return (), ()
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _list_parts(handle: Any) -> list[str] | None:
    """List the ids of the parts that a GPU is split into; None where it is whole."""
    import pynvml

    try:
        current, _ = pynvml.nvmlDeviceGetMigMode(handle)
        if current != pynvml.NVML_DEVICE_MIG_ENABLE:
            return None
        most = pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    except pynvml.NVMLError:  # most GPUs cannot be split
        return None
    found = []
    for index in range(most):
        with contextlib.suppress(pynvml.NVMLError):  # an index that is not taken
            found.append(
                _read_text(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)))
            )
    return found


def _read_text(given: Any) -> str:
    return given.decode() if isinstance(given, bytes) else str(given)


def _list_amd() -> tuple[str, ...]:
    ids = []
    for node in sorted(AMD_NODES.glob("*/gpu_id")):
        with contextlib.suppress(OSError):
            ids.append(node.read_text().strip())
    return tuple(str(index) for index, _ in enumerate(one for one in ids if one not in ("", "0")))


class GpuDealer:
    """Deals this machine's GPUs out to the workers of one sweep.

    Args:
        per_run: GPUs of one training; None deals all of them out.
        workers: How many there will be.
        list_workers: The workers that are noted, those of an earlier process too.
        gpus: What there is.
    """

    def __init__(
        self, per_run: float | None, workers: int, list_workers: Callable[[], Sequence[WorkerRecord]], gpus: Gpus
    ) -> None:
        self.variable = gpus.variable
        self._devices = gpus.devices
        self._list_workers = list_workers
        self._dealt: list[WorkerRecord] = []
        self._share: GpuShare | None = None
        if gpus.devices and per_run != 0:
            self._share = split_gpu(per_run) if per_run else share_gpus(len(gpus.devices), workers)

    def deal(self) -> tuple[str, ...] | None:
        """Choose a new worker's GPUs: empty where none are dealt, None where all are some worker's already."""
        if self._share is None:
            return ()
        living: list[tuple[str, ...]] = []
        orphaned: set[str] = set()
        known = {one.worker_id: one for one in self._list_local() if read_local(one).gpus}
        for worker in known.values():
            if find_worker(worker) is not None:
                living.append(read_local(worker).gpus)
            elif find_processes([worker]):
                orphaned.update(read_local(worker).gpus)
        return choose_gpus(self._devices, self._share, living, orphaned)

    def note(self, worker: WorkerRecord) -> None:
        """Note a worker that was started and is not yet in any record."""
        self._dealt.append(worker)

    def _list_local(self) -> Iterator[WorkerRecord]:
        yield from (worker for worker in self._list_workers() if is_local(worker))
        yield from self._dealt
