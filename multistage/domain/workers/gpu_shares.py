"""Who gets which GPU: how many a worker has, or how many workers share one."""

from collections.abc import Collection, Sequence
from math import ceil

from multistage.domain.model import Model
from multistage.errors import UsageError


class GpuShare(Model):
    """What one worker has of a machine's GPUs."""

    each: int
    """GPUs of one worker."""
    sharers: int = 1
    """Workers that one GPU has."""

    def count_workers(self, gpus: int) -> int:
        """Count the workers that so many GPUs allow."""
        return gpus // self.each * self.sharers


def split_gpu(per_run: float) -> GpuShare:
    """Read ``--gpus-per-run``: whole GPUs, or the part of one.

    Raises:
        UsageError: It is neither.
    """
    if per_run >= 1 and float(per_run).is_integer():
        return GpuShare(each=int(per_run))
    if 0 < per_run < 1:
        return GpuShare(each=1, sharers=int(1 / per_run + 1e-9))
    raise UsageError(
        f"--gpus-per-run cannot be {per_run:g}.", "Give whole GPUs, such as 2, a part of one, such as 0.5, or 0."
    )


def share_gpus(gpus: int, workers: int) -> GpuShare:
    """Deal a machine's GPUs out among so many workers: each has as many, or as many have each."""
    return GpuShare(each=gpus // workers) if workers <= gpus else GpuShare(each=1, sharers=ceil(workers / gpus))


def check_share(gpus: int, per_run: float, workers: int | None = None) -> None:
    """Refuse more workers than a machine's GPUs allow.

    Args:
        gpus: That it has.
        per_run: As asked for; not 0.
        workers: As asked for, if they were.

    Raises:
        UsageError: With how many there are.
    """
    share = split_gpu(per_run)
    found = "No GPU was found" if gpus == 0 else f"{gpus} GPU{'s were' if gpus > 1 else ' was'} found"
    if share.each > gpus:
        raise UsageError(
            f"{found}, and --gpus-per-run asks for {per_run:g}.",
            f"Use --gpus-per-run {gpus} or less; 0 leaves GPUs to the trainings themselves.",
        )
    most = share.count_workers(gpus)
    if workers is not None and workers > most:
        raise UsageError(
            f"{found}, which are enough for {most} workers with --gpus-per-run {per_run:g}, not for {workers}.",
            f"Use --workers {most}, or a smaller --gpus-per-run.",
        )


def choose_gpus(
    devices: Sequence[str], share: GpuShare, held: Sequence[Collection[str]], shunned: Collection[str] = ()
) -> tuple[str, ...] | None:
    """Choose the GPUs of a new worker.

    Args:
        devices: The machine's, as its variable names them.
        share: What a worker has.
        held: What each living worker has.
        shunned: Those that something of a dead worker is still on; taken last.

    Returns:
        The freest; None where too few are free.
    """
    holders = {device: sum(device in one for one in held) for device in devices}
    free = [device for device in devices if holders[device] < share.sharers]
    if len(free) < share.each:
        return None
    freest = sorted(free, key=lambda device: (holders[device], device in shunned))[: share.each]
    return tuple(device for device in devices if device in freest)
