"""Runs that change servers: those of offline folders come to the embedded one, and its runs go on to W&B.

Both ways are the client's own: ``wandb sync``, and a run that is logged again.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from multistage.errors import TrackerError, UsageError
from multistage.services.embedded import WandbServer
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.login import find_credentials
from multistage.wandb_client.seen_runs import parse_run_path
from multistage.wandb_server.nodes import DEFAULT_ENTITY

OWN_FILES = ("wandb-metadata.json", "wandb-summary.json", "config.yaml", "requirements.txt", "output.log")
"""What the client writes for every run by itself."""


def import_runs(folder: Path, server: WandbServer) -> list[str]:
    """Send the runs of an offline client to the embedded server; those that were sent before are left alone.

    Args:
        folder: Where they lie, at whatever depth.
        server: The server.

    Returns:
        The folders of the runs that were sent.

    Raises:
        UsageError: There is no such run.
        TrackerError: One was not taken.
    """
    logs = sorted(folder.rglob("run-*.wandb"))
    if not logs:
        raise UsageError(
            f"{folder} holds no run of an offline client.", "Name the folder that holds wandb/offline-run-...."
        )
    environment = _build_environment(server.url, server.key)
    sent = []
    for log in logs:
        mark = log.with_name(f"{log.name}.synced")
        if mark.exists():
            continue
        command = [sys.executable, "-P", "-m", "wandb", "sync", "--entity", DEFAULT_ENTITY, str(log.parent)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not mark.exists():
            raise TrackerError(f"{log.parent} was not sent: {_quote_last(done.stdout + done.stderr)}")
        sent.append(str(log.parent))
    return sent


def export_run(path: str, server: WandbServer) -> str:
    """Send a run of the embedded server on to the W&B server that the client is logged in to.

    Config, rows, summary, names, tags, notes and files go; system metrics, console and artifacts stay.

    Args:
        path: ENTITY/PROJECT/ID, or the address of its page.
        server: The embedded server.

    Returns:
        The address of its page there.

    Raises:
        UsageError: The client is not logged in, or to this very server.
        TrackerError: There is no such run, or it was not taken.
    """
    entity, project, run_id = parse_run_path(path)
    found = find_credentials()
    if found is None or found[0] == server.url:
        raise UsageError("The wandb client is not logged in to a server to send to.", "Run `wandb login` first.")
    connection = Connection(server.url, server.key, entity, project)
    with tempfile.TemporaryDirectory() as place:
        told = connection.call(lambda: _read_run(connection, run_id, Path(place)))
        command = [sys.executable, "-P", "-m", "multistage.wandb_client.resending", place]
        done = subprocess.run(
            command,
            env=_build_environment(*found[:2]),
            input=json.dumps(told),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise TrackerError(f"{found[0]} did not take the run {path}: {_quote_last(done.stderr)}")
    return done.stdout.strip().rpartition("\n")[2]


def _read_run(connection: Connection, run_id: str, place: Path) -> dict[str, Any]:
    run = connection.api.run(f"{connection.path}/{run_id}")
    files = [file for file in run.files(per_page=200) if file.name not in OWN_FILES]
    for file in files:
        file.download(root=str(place), replace=True).close()
    return {
        "project": connection.project,
        "id": run.id,
        "name": run.name,
        "group": run.group,
        "job_type": run.job_type,
        "tags": run.tags,
        "notes": run.notes,
        "config": {key: value for key, value in run.config.items() if not key.startswith("_")},
        "rows": [dict(row) for row in run.scan_history()],
        "summary": {key: value for key, value in dict(run.summary_metrics).items() if not key.startswith("_")},
        "files": [file.name for file in files],
        "has_finished": run.state == "finished",
    }


def _build_environment(base_url: str, key: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    return own | {"WANDB_BASE_URL": base_url, "WANDB_API_KEY": key}


def _quote_last(printed: str) -> str:
    return next((line for line in reversed(printed.splitlines()) if line.strip()), "it said nothing").strip()
