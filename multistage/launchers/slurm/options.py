"""What may be asked of jobs on Slurm."""

from collections.abc import Iterator
from pathlib import Path

from multistage.errors import UsageError
from multistage.options.slurm import JobResources


class JobOptions(JobResources):
    """What bears on this launcher alone."""

    python: Path | None = None
    """Interpreter of the trainings, or its environment's folder; this process's own by default."""
    gpus_per_run: float | None = None
    """GPUs of one training, where Slurm's own words for them were not used."""

    def choose_gpus(self) -> str | None:
        """Return the GPUs of a job as Slurm writes them; None for none.

        Raises:
            UsageError: They are not whole.
        """
        if self.gpus is not None or not self.gpus_per_run:
            return self.gpus
        if not self.gpus_per_run.is_integer():
            raise UsageError(
                f"--gpus-per-run {self.gpus_per_run:g} has no effect on Slurm: a job has whole GPUs.",
                "Give a whole number, or a slice as your cluster names it: --slurm-gpus 1g.10gb:1.",
            )
        return str(int(self.gpus_per_run))

    def list_arguments(self) -> Iterator[str]:
        """List sbatch's arguments for these resources."""
        for name in ("partition", "account", "qos", "time", "constraint"):
            if (value := getattr(self, name)) is not None:
                yield f"--{name}={value}"
        yield f"--cpus-per-task={self.cpus}"
        if self.memory is not None:
            yield f"--mem={self.memory}"
        if (gpus := self.choose_gpus()) is not None:
            yield f"--gres=gpu:{gpus}"
        yield from (f"--{argument.lstrip('-')}" for argument in self.arg)
