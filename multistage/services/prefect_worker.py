"""A Prefect process worker as a local service: it runs deployments and schedules while nobody watches."""

import os
import sys
from pathlib import Path

from multistage.domain.model import Model
from multistage.services.local_service import LocalService
from multistage.settings import Settings

WORK_POOL = "multistage"
"""The process work pool that `prefect.yaml` names; made by the worker where it is missing."""

RUN_PREFECT = "import multistage, runpy; runpy.run_module('prefect', run_name='__main__', alter_sys=True)"
"""`python -m prefect`, holding this package already: the worker enters the folders of deployments to run their hooks,
and would take a user's own `multistage.py` there."""


class PrefectWorker(Model):
    """A worker that answers.

    Args:
        pool: The work pool that it takes flow runs from.
        pid: Its process.
        started: Whether this call started it.
    """

    pool: str
    pid: int
    started: bool


def build_worker_service(settings: Settings, api_url: str = "") -> LocalService:
    """Describe how the worker is run.

    Args:
        settings: Where its folder is.
        api_url: The Prefect server; only a start needs it.
    """
    return LocalService(
        name="Prefect worker",
        folder=settings.prefect_worker_folder,
        build_command=lambda _: [
            *(sys.executable, "-P", "-c", RUN_PREFECT, "worker", "start", "--with-healthcheck"),
            *("--pool", WORK_POOL, "--type", "process", "--name", "multistage-worker"),
        ],
        build_environment=lambda port: {
            **os.environ,
            # The `python3` of the deployments' command is this one.
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
            "PREFECT_API_URL": api_url,
            "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
            "PREFECT_WORKER_WEBSERVER_PORT": str(port),
            "PREFECT_CLI_PROMPT": "false",
        },
        health_path="/health",
        is_private=False,
    )


def ensure_prefect_worker(settings: Settings, api_url: str) -> PrefectWorker:
    """Give the user's own worker, starting it where it does not run.

    Args:
        settings: Where its folder is.
        api_url: The Prefect server that it asks for work.

    Raises:
        ServiceError: If it does not start.
    """
    service = build_worker_service(settings, api_url).ensure()
    return PrefectWorker(pool=WORK_POOL, pid=service.record.pid, started=service.started)
