"""One run as the tracker holds it, whosever it is: its config, what it logged, how it was started."""

import re
from typing import Any

from wandb.apis.public.runs import Run

from multistage.domain.model import Model
from multistage.errors import TrackerError, UsageError
from multistage.wandb_client.connection import Connection

SAMPLES = 500
"""Rows that are read, evenly spread over the run."""
_PATH = re.compile(r"(?:https?://[^/]+/)?/?([^/]+)/([^/]+)/(?:runs/)?([^/?#]+)/?(?:[?#].*)?")


class SeenRun(Model):
    """What the tracker says of a run."""

    state: str
    """W&B's word."""
    config: dict[str, Any]
    """W&B's own keys left out."""
    rows: tuple[dict[str, Any], ...]
    """What it logged."""
    logged: int
    """How many rows it has logged."""
    summary: dict[str, Any]


class RunOrigin(Model):
    """How a run was started, as W&B's client noted it."""

    program: str | None
    arguments: tuple[str, ...]


def parse_run_path(path: str) -> tuple[str, str, str]:
    """Read where a run is: ENTITY/PROJECT/ID, or the address of its page.

    Raises:
        UsageError: It is neither.
    """
    found = _PATH.fullmatch(path.strip())
    if found is None:
        raise UsageError(f"{path!r} does not name a run.", "Write ENTITY/PROJECT/ID, as its page's address has them.")
    return found[1], found[2], found[3]


def read_run(connection: Connection, run_id: str, known: SeenRun | None = None) -> SeenRun:
    """Read a run.

    Args:
        connection: Where it is.
        run_id: The run.
        known: As it was read before; where it has logged nothing since, its rows are not read again.

    Raises:
        TrackerError: The server cannot be reached, or has no such run.
    """

    def read() -> SeenRun:
        run = _open(connection, run_id)
        summary = dict(run.summary_metrics)
        logged = int(run._attrs.get("historyLineCount") or 0)
        if known is not None and logged == known.logged:
            rows = known.rows
        else:
            rows = tuple(dict(row) for row in run.history(samples=SAMPLES, pandas=False))
        return SeenRun(
            state=run.state,
            config={key: value for key, value in run.config.items() if not key.startswith("_")},
            rows=rows,
            logged=logged,
            summary=summary,
        )

    return connection.call(read)


def read_origin(connection: Connection, run_id: str) -> RunOrigin:
    """Read how a run was started; what is not known of it is left empty.

    Raises:
        TrackerError: The server cannot be reached, or has no such run.
    """
    noted = connection.call(lambda: _open(connection, run_id).metadata) or {}
    return RunOrigin(
        program=noted.get("codePathLocal") or noted.get("codePath") or noted.get("program"),
        arguments=tuple(map(str, noted.get("args") or ())),
    )


def _open(connection: Connection, run_id: str) -> Run:
    try:
        run: Run = connection.api.run(f"{connection.path}/{run_id}")
        run.load(force=True)
    except ValueError as error:
        raise TrackerError(f"There is no run {connection.path}/{run_id} on {connection.base_url}.") from error
    return run
