"""Deals the GPUs of this machine out to workers."""

from collections.abc import Callable, Iterator, Sequence

from multistage.domain.workers.gpu_shares import GpuShare, choose_gpus, share_gpus, split_gpu
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.gpus import Gpus
from multistage.launchers.local.records import is_local, read_local
from multistage.launchers.local.worker_processes import find_processes, find_worker


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
        yield from (one for one in self._list_workers() if is_local(one))
        yield from self._dealt
