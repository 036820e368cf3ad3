"""What Slurm says of the jobs of this user: all are asked for at once, and seldom."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from multistage.errors import CloudAwayError
from multistage.launchers.slurm.commands import PATIENCE, PATIENTLY, call

QUESTION = ("squeue", "--me", "--noheader", "--array", "--states=all", "--format=%F|%K|%T|%S|%j|%r")
SHORTEST, LONGEST = 2.0, 20.0
"""Seconds between two questions, at least and at most."""
PER_JOB = 0.5
"""Seconds between two questions for each job that lives: the controller has other users."""
AWAY_PAUSE = 10.0
"""Seconds for which a controller that did not answer is left alone."""

ENDED = {
    *("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"),
    *("PREEMPTED", "REVOKED"),
}
WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}


class Job(NamedTuple):
    """One task of an array, as Slurm has it."""

    job_id: str
    """As scancel takes it."""
    state: str
    begins: str
    """When it is expected to begin, or has begun; N/A where nobody knows."""
    reason: str

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more, and nothing will."""
        return self.state in ENDED


class JobQueue:
    """The jobs of this user, by their worker's id."""

    def __init__(self) -> None:
        self._jobs: Mapping[str, Job] = {}
        self._asked_at = self._away_at = float("-inf")
        self._pause = SHORTEST
        self.questions = 0
        """How often Slurm was asked."""

    def look(self, *, now: bool = False, limit: float = PATIENCE) -> Mapping[str, Job]:
        """Return the jobs; what was heard a moment ago will do, unless they are wanted as they are now.

        Raises:
            CloudAwayError: The controller does not answer.
            LaunchError: Slurm refuses.
        """
        began = time.monotonic()
        if not now and began - self._asked_at < self._pause:
            return self._jobs
        if not now and began - self._away_at < AWAY_PAUSE:
            raise CloudAwayError("Slurm does not answer.", PATIENTLY)
        self.questions += 1
        try:
            told = call(*QUESTION, limit=limit)
        except CloudAwayError:
            self._away_at = time.monotonic()
            raise
        self._jobs = parse_jobs(told)
        self._asked_at = time.monotonic()
        alive = sum(not job.has_ended for job in self._jobs.values())
        self._pause = min(max(PER_JOB * alive, SHORTEST), LONGEST)
        return self._jobs

    def forget(self) -> None:
        """Ask anew at the next look: something was changed."""
        self._asked_at = float("-inf")


def parse_jobs(text: str) -> dict[str, Job]:
    """Read squeue's answer: one line a task, by its array's name and its number."""
    jobs = {}
    for line in text.splitlines():
        array, task, state, begins, name, reason = line.split("|", 5)
        jobs[f"{name}-{task}"] = Job(f"{array}_{task}" if task != "N/A" else array, state, begins, reason)
    return jobs


def explain_waiting(jobs: Sequence[Job]) -> str:
    """Say how many jobs wait, why, and when the first is expected to begin; empty where none waits."""
    waiting = [job for job in jobs if job.state in WAITING]
    if not waiting:
        return ""
    reasons = Counter(job.reason for job in waiting if job.reason not in ("None", ""))
    told = ", ".join(reason if count == len(waiting) else f"{reason} ({count})" for reason, count in reasons.items())
    times = sorted(job.begins for job in waiting if job.begins not in ("N/A", ""))
    begins = f", the first to begin about {datetime.fromisoformat(times[0]):%a %H:%M}" if times else ""
    noun = "job waits" if len(waiting) == 1 else "jobs wait"
    return f"{len(waiting)} {noun} in Slurm's queue{': ' if told else ''}{told}{begins}"
