"""A Prefect process worker as a local service: it runs deployments and schedules while nobody watches."""

import os
import sys
from pathlib import Path

import psutil

from multistage.domain.model import Model
from multistage.domain.workers.variables import PREFECT_AUTH
from multistage.services.local_service import LocalService, ServiceRecord
from multistage.services.prefect import PrefectServer, enter_prefect_server
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


def build_worker_service(settings: Settings, server: PrefectServer | None = None) -> LocalService:
    """Describe how the worker is run.

    Args:
        settings: Where its folder is.
        server: The Prefect server that it asks for work; only a start needs it.
    """
    return LocalService(
        name="Prefect worker",
        folder=settings.prefect_worker_folder,
        build_command=lambda _: [
            *(sys.executable, "-P", "-c", RUN_PREFECT, "worker", "start", "--with-healthcheck"),
            *("--pool", WORK_POOL, "--type", "process", "--name", "multistage-worker"),
        ],
        build_environment=lambda port: {
            **(enter_prefect_server(server, settings, dict(os.environ)) if server else os.environ),
            # The `python3` of the deployments' command is this one.
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
            "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
            "PREFECT_WORKER_WEBSERVER_PORT": str(port),
            "PREFECT_CLI_PROMPT": "false",
        },
        health_path="/health",
        is_private=False,
    )


def ensure_prefect_worker(settings: Settings, server: PrefectServer) -> PrefectWorker:
    """Return the user's own worker, starting it where it does not run, and anew where the server would refuse it.

    Args:
        settings: Where its folder is.
        server: The Prefect server that it asks for work.

    Raises:
        ServiceError: If it does not start.
    """
    service = build_worker_service(settings, server)
    running = service.find()
    refused = running is not None and server.secret is not None and lacks_secret(running, server.api_url, server.secret)
    started = service.replace(running) if running and refused else service.ensure()
    return PrefectWorker(pool=WORK_POOL, pid=started.record.pid, started=started.started)


def lacks_secret(worker: ServiceRecord, api_url: str, secret: str | None) -> bool:
    """Whether a running worker asks a server for work without its secret: an older release started it.

    Args:
        worker: The worker's process.
        api_url: The server.
        secret: The server's; None where it has none yet.
    """
    try:
        variables = psutil.Process(worker.pid).environ()
    except psutil.NoSuchProcess:
        return False
    held = variables.get(PREFECT_AUTH)
    return variables.get("PREFECT_API_URL") == api_url and (held is None or held != secret)
