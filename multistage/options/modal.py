"""Options of trainings in Modal's containers."""

import re
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from multistage.options.option import Amount, Option, Options, Place

GPUS = ("T4", "L4", "A10", "L40S", "A100-40GB", "A100-80GB", "H100", "H200")
_SAME = {"A10G": "A10", "A100": "A100-40GB", "H100!": "H100"}
"""Other names that Modal takes."""


def name_gpu(text: str) -> tuple[str, int]:
    """Read a GPU as Modal writes it, such as ``T4`` or ``H100:2``; returns its name and how many.

    Raises:
        ValueError: If there is no such GPU, or not so many in one machine.
    """
    found = re.fullmatch(r"([A-Za-z0-9!-]+)(?::([1-8]))?", text)
    name = found[1].upper() if found else ""
    name = _SAME.get(name, name)
    if found is None or name not in GPUS:
        raise ValueError(f"{text!r} is not one of Modal's GPUs; there are {', '.join(GPUS)}, and H100:2 means two")
    return name, int(found[2] or 1)


class Resources(Options):
    """What one container has."""

    cpu: Annotated[float, Field(ge=0.125, le=64), Option(sign="N")] = 2.0
    """Physical cores of a container."""
    memory: Annotated[float, Field(ge=0.125, le=336), Option(sign="N")] = 4.0
    """GiB of a container."""
    gpu: Annotated[str | None, Option(sign="GPU")] = None
    """GPU of a container, as Modal writes it, such as T4 or H100:2."""
    timeout: Annotated[int, Field(ge=1, le=86_400), Option(sign="S")] = 3600
    """Seconds that a container may live; it takes no run that would not end by then."""
    region: Annotated[str | None, Option(sign="NAME", usually="anywhere, which costs least")] = None
    """Where containers run, such as us-east."""
    max_containers: Annotated[Annotated[int, Field(ge=1)] | None, Option(sign="N")] = None
    """Containers at once, whatever --workers says."""

    @field_validator("gpu")
    @classmethod
    def _check_gpu(cls, value: str | None) -> str | None:
        if value is not None:
            name_gpu(value)
        return value


class ModalOptions(Options):
    """What trainings on Modal get."""

    title: ClassVar[str] = "Trainings on Modal"
    mark: ClassVar[str] = "modal"
    only_with: ClassVar[str | None] = "modal"
    where: ClassVar[str] = "on Modal"

    max_cost: Annotated[Amount | None, Option(sign="DOLLARS")] = None
    """On Modal, dollars that are never passed; the sweep ends early instead."""
    runs_per_worker: Annotated[Annotated[int, Field(ge=1)] | None, Option(sign="N", usually="as many as there are")] = (
        None
    )
    """On Modal, runs that one container trains."""
    keep_workers: Annotated[bool, Option(usually="", also_with=("slurm", "ssh"))] = False
    """Not on this machine: workers go on when the sweep is interrupted or cancelled; a resume takes them up."""
    project_dir: Annotated[Place | None, Option(sign="PATH", from_file=True)] = None
    """On Modal, your project: its requirements are installed and its files are there. Needed for a --program."""
    image_python: Annotated[
        Annotated[str, Field(pattern=r"^3\.1[1-4]$")] | None,
        Option(sign="3.1X", usually="this one", takes="3.11, 3.12, 3.13 or 3.14"),
    ] = None
    """On Modal, the containers' Python, such as 3.12."""
    modal: Resources = Field(default_factory=Resources)
    """On Modal, what each container has."""
