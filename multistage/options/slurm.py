"""Options of trainings in Slurm's jobs."""

import re
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from multistage.options.option import Option, Options

_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<rest>\d+(?::\d+){0,2})")
_UNITS = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


def parse_time(text: str) -> float:
    """Read a time as Slurm writes it (90, 30:00, 2:00:00, 1-12, 1-12:00:00); returns seconds.

    Raises:
        ValueError: It is none.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time as Slurm writes it: 90 (minutes), 2:00:00 or 1-12:00:00")
    parts = [int(part) for part in found["rest"].split(":")]
    if found["days"] is not None:  # hours come first then
        hours, minutes, seconds = (*parts, 0, 0)[:3]
        return ((int(found["days"]) * 24 + hours) * 60 + minutes) * 60 + seconds
    if len(parts) == 3:
        return (parts[0] * 60 + parts[1]) * 60 + parts[2]
    return parts[0] * 60 + (parts[1] if len(parts) == 2 else 0)


def parse_memory(text: str) -> float:
    """Read a size of memory as Slurm writes it (8000, 8G); returns MiB.

    Raises:
        ValueError: It is none.
    """
    found = re.fullmatch(r"(\d+)([KMGT]?)", text.upper())
    if found is None:
        raise ValueError(f"{text!r} is not a size as Slurm writes it: 8G, or 8000 for MiB")
    return int(found[1]) * _UNITS[found[2] or "M"]


def parse_gpus(text: str) -> tuple[str, int]:
    """Read GPUs as Slurm writes them (1, a100:2); returns their type, empty for any, and how many.

    Raises:
        ValueError: They are none.
    """
    found = re.fullmatch(r"(?:([A-Za-z0-9_.-]+):)?([1-9]\d*)", text)
    if found is None:
        raise ValueError(f"{text!r} does not name GPUs as Slurm writes them: 1, or a100:2")
    return found[1] or "", int(found[2])


class JobResources(Options):
    """What one job has."""

    partition: Annotated[str | None, Option(sign="NAME", usually="the cluster's own")] = None
    """Slurm's partition."""
    account: Annotated[str | None, Option(sign="NAME", usually="your own")] = None
    """Slurm's account."""
    qos: Annotated[str | None, Option(sign="NAME", usually="the account's own")] = None
    """Slurm's quality of service."""
    time: Annotated[str | None, Option(sign="TIME", usually="the partition's own")] = None
    """Time limit of a job, as Slurm writes it, such as 4:00:00; it takes no run that would not end by then."""
    cpus: Annotated[int, Field(ge=1), Option(sign="N")] = 1
    """Cores of a job."""
    memory: Annotated[str | None, Option(sign="SIZE", usually="the partition's own")] = None
    """Memory of a job, such as 8G; a run that needs more fails."""
    gpus: Annotated[str | None, Option(sign="GPUS", usually="--gpus-per-run, else none")] = None
    """GPUs of a job, as Slurm writes them, such as 1 or a100:2."""
    constraint: Annotated[str | None, Option(sign="FEATURES")] = None
    """Features that a job's node must have."""
    tunnel: Annotated[str | None, Option(sign="ssh:HOST", usually="none: jobs reach the server's address")] = None
    """A host that nodes reach by ssh and that reaches the server, where nothing but ssh leads from nodes to it."""
    setup: Annotated[tuple[str, ...], Option(sign="LINE", takes="lines of shell")] = ()
    """A line that a job runs first, such as 'module load cuda'; may be given several times."""
    arg: Annotated[tuple[str, ...], Option(sign="KEY=VALUE", takes="options of sbatch without their dashes")] = ()
    """Another option of sbatch without its dashes, such as nice=100; may be given several times."""

    @field_validator("time")
    @classmethod
    def _check_time(cls, value: str | None) -> str | None:
        if value is not None:
            parse_time(value)
        return value

    @field_validator("memory")
    @classmethod
    def _check_memory(cls, value: str | None) -> str | None:
        if value is not None:
            parse_memory(value)
        return value

    @field_validator("gpus")
    @classmethod
    def _check_gpus(cls, value: str | None) -> str | None:
        if value is not None:
            parse_gpus(value)
        return value

    @field_validator("tunnel")
    @classmethod
    def _check_tunnel(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"ssh:(?!-)\S+", value):
            raise ValueError(f"{value!r} does not name the host that leads to the server: ssh:HOST")
        return value


class SlurmOptions(Options):
    """What trainings in Slurm's jobs get."""

    title: ClassVar[str] = "Trainings on a Slurm cluster"
    mark: ClassVar[str] = "slurm"
    only_with: ClassVar[str | None] = "slurm"
    where: ClassVar[str] = "on Slurm"

    slurm: JobResources = Field(default_factory=JobResources)
    """With Slurm, what each job has."""
