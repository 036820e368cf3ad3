"""Starts, watches and ends workers in jobs on Slurm."""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from multistage.domain.workers.worker_records import WorkerEnd, WorkerRecord
from multistage.errors import LaunchError
from multistage.launchers.base import Traits
from multistage.launchers.log_folder import LogFolder
from multistage.launchers.slurm.commands import call
from multistage.launchers.slurm.endings import judge_end
from multistage.launchers.slurm.job_queue import Job, JobQueue, explain_waiting
from multistage.launchers.slurm.options import JobOptions
from multistage.launchers.slurm.records import MARK, NAME, SlurmDetails, is_on_slurm, name_job, read_job
from multistage.launchers.slurm.script import build_script
from multistage.launchers.variables_file import NAME as KEY_FILE
from multistage.launchers.variables_file import write_variables
from multistage.options.slurm import parse_memory
from multistage.worker.interpreter import INTERPRETER_VARIABLE, Interpreter
from multistage.worker.outputs import read_last_lines

STOP_PATIENCE = 8.0
"""Seconds in which cancelled jobs may end; Slurm ends those that take longer."""
LOOK_AGAIN = 0.3
"""Seconds between two questions whether cancelled jobs have ended."""
SLACK = 60.0
"""Seconds before its time limit at which a worker takes no further run: Slurm is as exact as that."""
SHORTEST_LIFE = 0.5
"""Share of a short time limit that is used for training all the same."""
TRAITS = Traits(
    title="Slurm", reaches_loopback=False, reaches_network=True, is_remote=True, can_keep=True, workers="jobs"
)


class SlurmLauncher:
    """Starts workers as tasks of an array of jobs; a ``Launcher``.

    Args:
        folder: Where logs go, on a disk that all nodes share: ``worker-<id>.log``, ``runs/<run id>.log``.
        options: What each job has.
        variables: What workers need: the server's URL and key.
        idle: Seconds without a run after which a worker leaves.
        find_limit: Finds the seconds that a job has; None for no limit.
        directory: Where trainings run; this process's own by default.
        interpreter: What trainings are run by; this process's own by default.
    """

    traits = TRAITS
    fee = None

    def __init__(
        self,
        folder: Path,
        options: JobOptions | None = None,
        *,
        variables: Mapping[str, str] | None = None,
        idle: float = 60.0,
        find_limit: Callable[[], float | None] = lambda: None,
        directory: Path | None = None,
        interpreter: Interpreter | None = None,
    ) -> None:
        self._logs = LogFolder(folder.absolute())
        self._options = options
        self._variables = dict(variables or {})
        self._python = str(interpreter.path) if interpreter else None
        if interpreter is not None:
            self._variables[INTERPRETER_VARIABLE] = interpreter.model_dump_json()
        self._idle = idle
        self._find_limit = find_limit
        self._directory = directory or Path.cwd()
        self._queue = JobQueue()
        self._ends: dict[str, WorkerEnd] = {}
        """How workers ended, by id: Slurm forgets it after minutes."""
        self._cancelled: set[str] = set()
        """Workers that were cancelled here: nothing of theirs goes on, however long Slurm takes to clear them away."""
        self._lock = threading.RLock()

    def prepare(self) -> None:
        """Write down where the server is, for jobs that still wait from before: it may have moved."""
        self._write_variables()

    def launch(self, sweep: str, count: int) -> Iterator[WorkerRecord]:
        """Submit an array of workers for a sweep.

        Each is told of before, without its job, and after, with it. Whoever notes both finds every job again, whenever
        this process dies.

        Raises:
            CloudAwayError: The controller does not answer; the array may have been submitted all the same.
            LaunchError: Slurm refuses it.
        """
        if self._options is None:
            raise LaunchError("This launcher was opened to stop workers, not to start them.")
        array = f"{MARK}{secrets.token_hex(4)}"
        intents = [self._intend(sweep, array, number) for number in range(count)]
        yield from intents
        with self._lock:
            job_id = self._submit(self._options, array, sweep, count)
            self._queue.forget()
        for number, intent in enumerate(intents):
            yield name_job(intent, f"{job_id}_{number}")

    def adopts(self, record: WorkerRecord) -> bool:
        """Whether a worker is one of Slurm's, whose trainings are run by this launcher's interpreter."""
        return is_on_slurm(record) and (self._options is None or read_job(record).python == self._python)

    def is_alive(self, record: WorkerRecord) -> bool:
        """Whether the worker waits or works; also of another process's worker."""
        return self.inspect(record) is None

    def inspect(self, record: WorkerRecord) -> WorkerEnd | None:
        """Say how a worker ended; None while it waits or works, or while Slurm does not answer."""
        if not is_on_slurm(record):
            return WorkerEnd(fault="none")
        with self._lock:
            if record.worker_id in self._ends:
                return self._ends[record.worker_id]
            try:
                job = self._queue.look().get(record.worker_id)
            except LaunchError:  # the question is always the same, so this is no news of the worker
                return None
            if job is not None and not self._is_over(record, job):
                return None
            end = judge_end(record, job, self._logs)
            self._ends[record.worker_id] = end
            return end

    def stop(self, records: Sequence[WorkerRecord]) -> None:
        """Cancel workers; each ends its training in order. Takes 10 s at most, once no other question is open.

        Raises:
            LaunchError: Slurm does not answer, or refuses.
        """
        mine = [record for record in records if is_on_slurm(record) and record.worker_id not in self._ends]
        if not mine:
            return
        with self._lock:
            deadline = time.monotonic() + STOP_PATIENCE

            def list_alive() -> list[Job]:
                return self._list_jobs(mine, self._queue.look(now=True, limit=left()))

            def left() -> float:
                return max(deadline - time.monotonic(), LOOK_AGAIN)

            for array in {read_job(record).array for record in mine if not record.is_started}:
                self._mark_cancelled(array)
            alive = list_alive()
            if alive:
                call("scancel", "--quiet", *(job.job_id for job in alive), limit=left())
            self._cancelled |= {record.worker_id for record in mine}
            while alive and time.monotonic() < deadline:
                time.sleep(LOOK_AGAIN)
                alive = list_alive()
            self._queue.forget()

    def explain_waiting(self, records: Sequence[WorkerRecord]) -> str:
        """Say how many jobs wait in Slurm's queue, and why."""
        with self._lock:
            try:
                jobs = self._queue.look()
            except LaunchError as error:
                return error.message.rstrip(".")
            return explain_waiting(
                [job for record in records if is_on_slurm(record) and (job := jobs.get(record.worker_id))]
            )

    def read_failure(self, run_id: str) -> str:
        """The last lines that a training printed, wandb's own left out; empty where it printed none."""
        return "\n".join(self._logs.read_run(run_id))

    def read_last_words(self, record: WorkerRecord) -> str:
        """The last line of a worker's log."""
        return "".join(read_last_lines(Path(read_job(record).log), 1))

    def name_log(self, record: WorkerRecord) -> str:
        """The path of a worker's log."""
        return read_job(record).log

    def judge_training(self, error: str) -> None:
        """Nothing: each training is judged by itself."""

    def count_questions(self) -> int:
        """Count how often Slurm was asked for this user's jobs."""
        return self._queue.questions

    def close(self) -> None:
        """Nothing to give back; the jobs live on."""

    def _intend(self, sweep: str, array: str, number: int) -> WorkerRecord:
        worker_id = f"{array}-{number}"
        log = str(self._logs.locate_worker(worker_id))
        return WorkerRecord(
            launcher=NAME,
            worker_id=worker_id,
            sweep=sweep,
            launched_at=datetime.now(UTC),
            is_started=False,
            details=SlurmDetails(array=array, log=log, python=self._python).model_dump(mode="json"),
        )

    def _submit(self, options: JobOptions, array: str, sweep: str, count: int) -> str:
        """Submit an array; returns Slurm's id of it."""
        self._write_variables()
        for number in range(count):
            self._logs.locate_worker(f"{array}-{number}").touch(0o600)
        script = build_script(
            array,
            key_file=self._logs.path / KEY_FILE,
            mark=self._locate_mark(array),
            folder=self._logs.path,
            directory=self._directory,
            setup=options.setup,
            arguments=list(self._list_worker_arguments(sweep)),
            tunnel=options.tunnel,
        )
        told = call(
            *("sbatch", "--parsable", f"--job-name={array}", f"--array=0-{count - 1}", "--requeue"),
            *("--open-mode=append", f"--comment=multistage-sweep {self._logs.path.parent.name}"),
            f"--output={str(self._logs.path).replace('%', '%%')}/worker-{array}-%a.log",
            *options.list_arguments(),
            stdin=script,
            directory=os.sep,
        )
        return told.strip().partition(";")[0]

    def _write_variables(self) -> None:
        self._logs.make()
        write_variables(self._logs.path, {**self._logs.variables, **self._variables})

    def _list_worker_arguments(self, sweep: str) -> Iterator[str]:
        yield from ("--sweep", sweep, "--idle", f"{self._idle:g}")
        limit = self._find_limit()
        if limit is not None:
            yield from ("--seconds", f"{max(limit - SLACK, SHORTEST_LIFE * limit):g}")
        if self._options and self._options.memory is not None:
            yield from ("--memory", f"{parse_memory(self._options.memory) / 1024:g}")

    def _list_jobs(self, records: Sequence[WorkerRecord], jobs: Mapping[str, Job]) -> list[Job]:
        """List the jobs of workers that have not ended."""
        found = (jobs.get(record.worker_id) for record in records)
        return [job for job in found if job is not None and not job.has_ended]

    def _locate_mark(self, array: str) -> Path:
        return self._logs.path / f".{array}.cancelled"

    def _mark_cancelled(self, array: str) -> None:
        """Keep an array from beginning that may be submitted only now, by a process that is about to die."""
        self._logs.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._locate_mark(array).touch(0o600)

    def _is_over(self, record: WorkerRecord, job: Job) -> bool:
        return job.has_ended or (job.state == "COMPLETING" and record.worker_id in self._cancelled)
