"""What may be asked of workers on this machine."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from multistage.domain.model import Model


class LocalOptions(Model):
    """What bears on this launcher alone."""

    python: Path | None = None
    """Interpreter of the trainings, or its environment's folder; this process's own by default."""
    gpus_per_run: Annotated[float, Field(ge=0)] | None = None
    """GPUs of one training, a part of one such as 0.5, or 0 for none; None deals all of them out."""
