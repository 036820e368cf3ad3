"""What a container on Modal may use."""

import re
from typing import Annotated

from pydantic import Field, field_validator

from multistage.domain.model import Model

GPU_NAMES = ("T4", "L4", "A10", "L40S", "A100-40GB", "A100-80GB", "H100", "H200")
"""Modal's GPUs; what each costs stands in `multistage.launchers.modal.prices`."""

_SAME = {"A10G": "A10", "A100": "A100-40GB", "H100!": "H100"}
"""Other names that Modal takes."""


def name_gpu(text: str) -> tuple[str, int]:
    """Read a GPU as Modal writes it, such as ``T4`` or ``H100:2``; gives its name and how many.

    Raises:
        ValueError: If there is no such GPU, or not so many in one machine.
    """
    found = re.fullmatch(r"([A-Za-z0-9!-]+)(?::([1-8]))?", text)
    name = found[1].upper() if found else ""
    name = _SAME.get(name, name)
    if found is None or name not in GPU_NAMES:
        raise ValueError(f"{text!r} is no GPU of Modal's; there are {', '.join(GPU_NAMES)}, and H100:2 means two")
    return name, int(found[2] or 1)


class Resources(Model):
    """What one container has."""

    cpu: Annotated[float, Field(ge=0.125, le=64)] = 2.0
    """Physical cores."""
    memory: Annotated[float, Field(ge=0.125, le=336)] = 4.0
    """GiB."""
    gpu: str | None = None
    """As Modal writes it, such as ``T4`` or ``H100:2``."""
    timeout: Annotated[int, Field(ge=1, le=86_400)] = 3600
    """Seconds that one container may live; it takes no run that would not end by then."""
    region: str | None = None
    """Where, such as ``us-east``; anywhere by default, which costs least."""
    max_containers: Annotated[int, Field(ge=1)] | None = None
    """Containers at once, whatever the number of workers."""

    @field_validator("gpu")
    @classmethod
    def _check_gpu(cls, value: str | None) -> str | None:
        if value is not None:
            name_gpu(value)
        return value
