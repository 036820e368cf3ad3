"""Deployments of the multi-stage sweep, as a Prefect server keeps them: made, listed, removed.

Each runs in the folder that it was made from, by the Python that made it: the environment of the user's project.
"""

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multistage.domain.model import Model
from multistage.errors import MultistageError, UsageError
from multistage.services.prefect import PrefectServer
from multistage.services.prefect_client import open_prefect_client
from multistage.services.prefect_worker import WORK_POOL

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

FLOW = "multistage-sweep"
ENTRYPOINT = "multistage.pipeline.flows.multistage_sweep.multistage_sweep"
"""Of the parent flow, in a checkout as in the wheel."""
ENGINE = ("-P", "-m", "multistage.pipeline")
"""What Python runs a flow run by."""
STEP = "prefect.deployments.steps.set_working_directory"
OLDER = "an older release made it, so that it runs in a checkout only"


class Schedule(Model):
    """When a deployment runs by itself.

    Args:
        cron: Such as ``0 22 * * *``; for other kinds of schedules what Prefect calls them.
        timezone: Such as ``Europe/Berlin``.
        active: Whether it is switched on.
    """

    cron: str
    timezone: str
    active: bool = True


class Deployment(Model):
    """A deployment of the sweep.

    Args:
        name: What follows ``multistage-sweep/``.
        folder: Where its flow runs begin; None where Prefect is told otherwise.
        python: The interpreter that runs them; None for the worker's own.
        parameters: Of each run; a run may say others.
        schedules: When it runs by itself.
        entrypoint: The flow, as Prefect imports it.
    """

    name: str
    folder: Path | None
    python: str | None = None
    parameters: dict[str, Any]
    schedules: tuple[Schedule, ...] = ()
    entrypoint: str = ENTRYPOINT

    def find_fault(self) -> str:
        """Say why its runs fail, or may; empty where nothing speaks against them."""
        if self.folder is not None and not self.folder.is_dir():
            return f"its folder {self.folder} is gone"
        if self.python is not None and Path(self.python).is_absolute() and not Path(self.python).exists():
            return f"its Python {self.python} is gone"
        return "" if self.entrypoint == ENTRYPOINT else OLDER


def parse_schedule(cron: str, timezone: str) -> Schedule:
    """Check a schedule as Prefect would.

    Raises:
        UsageError: If it is none.
    """
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        if error.errors()[0]["loc"] == ("timezone",):
            raise UsageError(f"There is no time zone {timezone!r}.", "Name one such as Europe/Berlin.") from error
        raise UsageError(f"{cron!r} is not a cron expression.", "Every night at ten is --cron '0 22 * * *'.") from error
    return Schedule(cron=cron, timezone=timezone)


def save_deployment(server: PrefectServer, wanted: Deployment, form: Mapping[str, Any], description: str) -> None:
    """Make a deployment, or make the one of that name anew.

    Args:
        server: Where it is kept.
        wanted: The deployment.
        form: Its parameters' schema.
        description: For its page.

    Raises:
        MultistageError: If the name is another folder's.
    """
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
    from prefect.client.schemas.schedules import CronSchedule

    with open_prefect_client(server) as client:
        for other in _read_all(client):
            if other.name == wanted.name and other.folder not in (None, wanted.folder):
                raise MultistageError(
                    f"The deployment {FLOW}/{wanted.name} is of the folder {other.folder}.",
                    f"Choose another name, --as NAME, or `multistage-sweep deploy --remove {wanted.name}`.",
                )
        made = client.create_deployment(
            flow_id=client.create_flow_from_name(FLOW),
            name=wanted.name,
            description=description,
            entrypoint=wanted.entrypoint,
            pull_steps=[{STEP: {"directory": str(wanted.folder)}}],
            parameters=wanted.parameters,
            parameter_openapi_schema=dict(form),
            enforce_parameter_schema=True,
            work_pool_name=WORK_POOL,
            job_variables={"command": shlex.join((wanted.python or sys.executable, *ENGINE))},
            concurrency_limit=1 if wanted.schedules else None,
            concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        )
        for old in client.read_deployment_schedules(made):
            client.delete_deployment_schedule(made, old.id)
        schedules = [
            DeploymentScheduleCreate(schedule=CronSchedule(cron=schedule.cron, timezone=schedule.timezone))
            for schedule in wanted.schedules
        ]
        if schedules:
            client.create_deployment_schedules(made, schedules)


def list_deployments(server: PrefectServer) -> tuple[Deployment, ...]:
    """List the sweep's deployments, by name.

    Args:
        server: Where it is kept.
    """
    with open_prefect_client(server) as client:
        return tuple(_read_all(client))


def remove_deployment(server: PrefectServer, name: str) -> None:
    """Remove a deployment with its schedules; what it ran stays.

    Args:
        server: Where it is kept.
        name: Its name, with or without the flow's.

    Raises:
        UsageError: If there is none of that name.
    """
    from prefect.exceptions import ObjectNotFound

    short = name.removeprefix(f"{FLOW}/")
    with open_prefect_client(server) as client:
        try:
            found = client.read_deployment_by_name(f"{FLOW}/{short}")
        except ObjectNotFound as error:
            there = ", ".join(one.name for one in _read_all(client)) or "none"
            raise UsageError(f"There is no deployment {FLOW}/{short}.", f"There are: {there}.") from error
        client.delete_deployment(found.id)


def _read_all(client: "SyncPrefectClient") -> Iterator[Deployment]:
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName
    from prefect.client.schemas.sorting import DeploymentSort

    ours = FlowFilter(name=FlowFilterName(any_=[FLOW]))
    for offset in range(0, sys.maxsize, page := 100):
        found = client.read_deployments(flow_filter=ours, sort=DeploymentSort.NAME_ASC, limit=page, offset=offset)
        yield from map(_describe, found)
        if len(found) < page:
            return


def _describe(found: "DeploymentResponse") -> Deployment:
    steps = {name: inputs for step in found.pull_steps or () for name, inputs in step.items()}
    command = shlex.split(found.job_variables.get("command") or "")
    folder = steps.get(STEP, {}).get("directory") or found.path
    return Deployment(
        name=found.name,
        folder=Path(folder) if folder else None,
        python=command[0] if command[1:] == list(ENGINE) else None,
        parameters=found.parameters,
        schedules=tuple(
            Schedule(
                cron=str(getattr(schedule.schedule, "cron", type(schedule.schedule).__name__)),
                timezone=str(getattr(schedule.schedule, "timezone", None) or "UTC"),
                active=schedule.active and not found.paused,
            )
            for schedule in found.schedules
        ),
        entrypoint=found.entrypoint or "",
    )
