"""What a training takes of its machine."""

from collections.abc import Collection
from contextlib import suppress

import psutil

from multistage.worker.descendants import WANDB
from multistage.worker.memory import read_share


def list_trainings(worker: int) -> list[psutil.Process]:
    """List the processes below a worker, W&B's own helpers left out."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(worker).children(recursive=True):
            with suppress(psutil.Error):
                if not process.name().startswith(WANDB):
                    found.append(process)
    return found


def measure_memory(processes: Collection[psutil.Process]) -> int:
    """Measure what processes take together, in bytes; what they share is counted once where the kernel tells."""
    total = 0
    for process in processes:
        with suppress(psutil.Error, OSError):
            share = read_share(process.pid)
            total += process.memory_info().rss if share is None else share
    return total


def count_gpus(processes: Collection[psutil.Process]) -> int | None:
    """Count NVIDIA's GPUs on which processes compute; None where there is none, or no driver tells."""
    import pynvml

    pids = {process.pid for process in processes}
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        used = [pids & {one.pid for one in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)} for handle in handles]
        return sum(map(bool, used)) if handles else None
    except pynvml.NVMLError:
        return None
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
