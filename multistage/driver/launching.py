"""Which launcher a sweep's workers come from, and whether what was asked of it can be done."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from multistage.domain.sweep.plan import RunOptions, SweepSettings
from multistage.domain.workers.cost import Prices
from multistage.domain.workers.worker_records import WorkerEnd, WorkerRecord
from multistage.errors import MultistageError
from multistage.launchers.base import Assignment, Launcher
from multistage.launchers.registry import find_kind


def open_launcher(
    settings: SweepSettings,
    options: RunOptions,
    logs: Path,
    server: Mapping[str, str],
    prices: Prices | None,
    list_workers: Callable[[], Sequence[WorkerRecord]],
) -> Launcher:
    """Open the launcher that was chosen.

    Args:
        settings: The sweep.
        options: How it is run.
        logs: Folder of its logs.
        server: ``WANDB_BASE_URL`` and ``WANDB_API_KEY``.
        prices: Those that the sweep began with, for a launcher that costs money.
        list_workers: The workers that are noted.
    """
    assignment = Assignment(settings, options, logs, server, prices, list_workers)
    return find_kind(options.launcher).open(assignment)


def fetch_prices(options: RunOptions) -> Prices | None:
    """Find out what workers cost today; None where they cost nothing."""
    kind = find_kind(options.launcher)
    return kind.fetch_prices() if kind.traits.costs_money else None


def stop_workers(records: Sequence[WorkerRecord], logs: Path) -> Sequence[WorkerRecord]:
    """End workers of whichever launcher by their records alone.

    Returns:
        The records; that of a worker which was paid says how it ended.

    Raises:
        LaunchError: Something survived, or what runs it cannot be reached.
        UsageError: The launcher of some is not installed.
    """
    ended: dict[str, WorkerRecord] = {}
    trouble: MultistageError | None = None
    for name, own in _group(records).items():
        try:
            with closing(find_kind(name).attend(logs)) as launcher:
                launcher.stop(own)
                ended |= {one.worker_id: _note_end(launcher, one) for one in own}
        except MultistageError as error:  # the others are ended all the same
            trouble = trouble or error
    if trouble is not None:
        raise trouble
    return [ended.get(record.worker_id, record) for record in records]


def _note_end(launcher: Launcher, record: WorkerRecord) -> WorkerRecord:
    if not record.is_paid:
        return record
    seconds = (datetime.now(UTC) - record.launched_at).total_seconds()
    end = launcher.inspect(record) or WorkerEnd(fault="none", reason="It was stopped.", seconds=seconds)
    return record.model_copy(update={"end": end})


def has_living_workers(records: Sequence[WorkerRecord], logs: Path) -> bool:
    """Whether any of these workers lives; one that nobody can ask about counts as living.

    Raises:
        UsageError: The launcher of some is not installed.
    """
    for name, own in _group(records).items():
        with closing(find_kind(name).attend(logs)) as launcher:
            if any(launcher.is_alive(record) for record in own):
                return True
    return False


def _group(records: Sequence[WorkerRecord]) -> Mapping[str, Sequence[WorkerRecord]]:
    """Group workers that may live by their launcher, those of no price first, since they are at hand."""
    groups: dict[str, list[WorkerRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda one: one.fee is not None):
        if record.end is None:
            groups[record.launcher].append(record)
    return groups


def keeps_workers(options: RunOptions) -> bool:
    """Whether an interruption leaves the workers alone, for a resume to take up."""
    return options.keep_workers and find_kind(options.launcher).traits.can_keep


def describe_workers_left(options: RunOptions, has_failed: bool = False) -> str:
    """Say in a clause what became of the workers of a sweep that was interrupted, or has failed."""
    if has_failed or not keeps_workers(options):
        return "its workers and trainings were ended"
    return f"its {find_kind(options.launcher).traits.workers} go on"
