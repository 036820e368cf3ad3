"""A finished run, of W&B or of the embedded server, as if it had been watched."""

from multistage.domain.proposal.logged_metric import join_summary
from multistage.domain.runs.slots import classify_run
from multistage.domain.workers.variables import is_loopback
from multistage.errors import TrackerError, UsageError
from multistage.introduction.probe import ProbeResult
from multistage.services import ensure_wandb_server
from multistage.settings import Settings
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.login import find_credentials
from multistage.wandb_client.seen_runs import parse_run_path, read_origin, read_run
from multistage.wandb_server.nodes import DEFAULT_ENTITY


def read_past_run(path: str) -> tuple[ProbeResult, tuple[str, ...]]:
    """Read a run that has ended.

    Args:
        path: ENTITY/PROJECT/ID, or the address of its page. The entity of the embedded server is ``local``.

    Returns:
        What it shows, and the words by which its script was started, as far as they are known.

    Raises:
        UsageError: There is no such run, or it has not ended.
    """
    entity, project, run_id = parse_run_path(path)
    connection = _connect(path, entity, project)
    try:
        seen = read_run(connection, run_id)
    except TrackerError as error:
        raise UsageError(error.message, "Its page's address has its entity, project and id.") from error
    if classify_run(seen.state) in ("queued", "active"):
        raise UsageError(f"The run {path} is {seen.state}.", "Choose one that has ended.")
    rows = join_summary(seen.rows, seen.summary)
    seconds = max((row["_runtime"] for row in rows if "_runtime" in row), default=0.0)
    origin = read_origin(connection, run_id)
    result = ProbeResult(
        config=seen.config, rows=rows, logged=seen.logged, seconds=seconds, whole=seen.state == "finished", ended=True
    )
    program = origin.program
    return result, (program, *origin.arguments) if program else ()


def _connect(path: str, entity: str, project: str) -> Connection:
    is_here = entity == DEFAULT_ENTITY or is_loopback(path)
    found = None if is_here else find_credentials()
    if found is None:
        server = ensure_wandb_server(Settings())
        return Connection(server.url, server.key, entity, project)
    base_url, key, _ = found
    return Connection(base_url, key, entity, project)
