"""Options of how a sweep is run, wherever its trainings are: what a resume may change."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from multistage.options.option import Amount, Option, Options


class WorkerOptions(Options):
    """Who trains."""

    title: ClassVar[str] = "Who trains"
    mark: ClassVar[str] = "workers"

    launcher: Annotated[str, Field(min_length=1), Option(common=True, told=True, sign="NAME")] = "local"
    """Where trainings run: local (this machine), modal, slurm, ssh, external, or an installed package's launcher."""
    workers: Annotated[
        Annotated[int, Field(ge=1, le=1000)] | None,
        Option(
            common=True,
            told=True,
            sign="N",
            usually="the cores, or fewer where there are fewer GPUs; on Modal and Slurm 8, over ssh as --hosts says",
        ),
    ] = None
    """Trainings at once."""
    server_host: Annotated[str | None, Option(sign="ADDRESS|auto", usually="auto where workers need it, else none")] = (
        None
    )
    """An address of this machine on which the embedded server listens too, for workers on other machines."""
    worker_idle: Annotated[Amount, Option(sign="S", told=True)] = 60.0
    """Seconds without work after which a worker leaves."""
    resumable: Annotated[bool, Option(usually="")] = False
    """A run that the machine loses goes on in another: your script saves and loads in MULTISTAGE_CHECKPOINT_DIR."""
    stall_after: Annotated[
        Amount | None, Option(sign="S", usually="three times the longest run so far, at least 1800")
    ] = None
    """Seconds without a new row after which a run is stopped and trained again."""
    stage_deadline: Annotated[Amount | None, Option(sign="S", usually="none")] = None
    """Seconds after which a stage ends with the runs that it has."""


class ApprovalOptions(Options):
    """Whether a person is asked."""

    title: ClassVar[str] = "Who is asked between two stages"
    mark: ClassVar[str] = "approval"
    stages_only: ClassVar[bool] = True

    approve: Annotated[bool, Option(negatable=True)] = False
    """Ask you between two stages, in the Prefect UI or by `multistage-sweep approve NAME`."""
    approve_timeout: Annotated[Amount | None, Option(sign="S", usually="as long as it takes")] = None
    """Seconds that you have for it."""
    on_timeout: Literal["continue", "stop"] = "continue"
    """What happens when nobody answers in time."""


class NotifyOptions(Options):
    """Whether somebody is told."""

    title: ClassVar[str] = "Who is notified"
    mark: ClassVar[str] = "notify"

    notify: Annotated[str | None, Option(sign="NAME", usually="nobody")] = None
    """Notify you when it is done, fails, waits for approval or reaches its cost cap; see docs/notifications.md."""


class ForeignOptions(Options):
    """How the options of a launcher from another package reach a flow, whose parameters are fixed."""

    title: ClassVar[str] = "Who trains"
    mark: ClassVar[str] = "workers"

    launcher_options: Annotated[dict[str, Any] | None, Option(flag=False, filed=False)] = None
    """Options of a launcher that another package brings, by name."""
