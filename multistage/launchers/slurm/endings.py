"""How a job ended, and whose fault it was: the one place that decides."""

import re
import shutil
from pathlib import Path

from multistage.domain.workers.worker_records import WorkerEnd, WorkerRecord
from multistage.errors import LaunchError
from multistage.launchers.log_folder import LogFolder
from multistage.launchers.slurm.accounts import ACCOUNTING_PATIENCE
from multistage.launchers.slurm.commands import call
from multistage.launchers.slurm.job_queue import Job
from multistage.launchers.slurm.records import read_job
from multistage.worker.outputs import read_last_lines

SENTENCES = {
    "TIMEOUT": "It reached its time limit.",
    "NODE_FAIL": "Its node failed.",
    "BOOT_FAIL": "Its node did not start.",
    "OUT_OF_MEMORY": "It ran out of memory.",
    "PREEMPTED": "It made room for a job of higher priority.",
    "DEADLINE": "It reached its deadline.",
    "CANCELLED": "It was cancelled.",
}
_TIME = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ ")
"""At the beginning of a line of a worker's log."""


def judge_end(record: WorkerRecord, job: Job | None, logs: LogFolder) -> WorkerEnd:
    """Judge how a worker's job ended.

    A job that fails before any worker of the sweep has begun a run fails by what all of them share: a folder that
    nodes do not see, a server that they do not reach, a line of their setup.

    Args:
        record: The worker.
        job: As Slurm has it; None where it has forgotten it, or never had it.
        logs: The sweep's.
    """
    if job is None and not record.is_started:
        return WorkerEnd(fault="machine", reason="It was never submitted.")
    state = job.state if job is not None else ask_accounting(read_job(record).job_id)
    if state == "COMPLETED":
        return WorkerEnd(fault="none")
    if state != "FAILED":
        return WorkerEnd(
            fault="machine" if state else "none", reason=SENTENCES.get(state, "Slurm has no record of it any more.")
        )
    words = _TIME.sub("", "".join(read_last_lines(Path(read_job(record).log), 1)))
    if not words:
        words = f"It printed nothing: is {logs.path} on a disk that all nodes share?"
    return WorkerEnd(fault="machine" if logs.has_runs() else "setup", reason=words)


def ask_accounting(job_id: str | None) -> str:
    """Ask the accounting for the state of a job that the controller has forgotten; empty where it does not know."""
    if job_id is None or shutil.which("sacct") is None:
        return ""
    try:
        told = call(
            *("sacct", "--allocations", "--noheader", "--parsable2", "--format=State", f"--jobs={job_id}"),
            limit=ACCOUNTING_PATIENCE,
        )
    except LaunchError:  # a cluster without accounting
        return ""
    return (told.split() or [""])[0]
