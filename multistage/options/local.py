"""Options of trainings on this machine."""

from typing import Annotated, ClassVar

from pydantic import Field

from multistage.options.option import Option, Options, Place


class LocalOptions(Options):
    """What trainings on this machine get."""

    title: ClassVar[str] = "Trainings on this machine"
    mark: ClassVar[str] = "here"
    only_with: ClassVar[str | None] = "local"
    where: ClassVar[str] = "on this machine"

    python: Annotated[
        Place | None,
        Option(
            sign="PATH",
            usually="this one",
            from_file=True,
            also_with=("slurm", "ssh"),
            elsewhere="Containers have their own: --image-python 3.12.",
        ),
    ] = None
    """Interpreter of your own script's trainings here, on Slurm's nodes or on hosts, or its environment's folder."""
    gpus_per_run: Annotated[
        Annotated[float, Field(ge=0, le=1000)] | None,
        Option(
            sign="X",
            usually="all are dealt out among the workers",
            also_with=("slurm", "ssh"),
            elsewhere="Give containers theirs: --modal-gpu T4.",
        ),
    ] = None
    """GPUs of one training: 2 takes two; on this machine 0.5 lets two trainings share one, 0 leaves them alone."""
