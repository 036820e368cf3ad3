"""Read what a report shows from the tracker."""

from datetime import UTC, datetime, timedelta

from multistage.domain.state import State
from multistage.report.data import ReportData, ReportRun
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.runs import PAGE, RunReader


def collect_report(connection: Connection, state: State) -> ReportData:
    """Read all runs of a sweep's stages.

    Raises:
        TrackerError: If the server cannot be reached.
    """
    sweeps = {record.stage: record.sweep_id for record in state.stages_completed}
    if state.current_stage is not None and state.current_stage.sweep_id is not None:
        sweeps[state.current_stage.stage] = state.current_stage.sweep_id
    runs: list[ReportRun] = []
    for stage, sweep_id in sorted(sweeps.items()):
        records = RunReader(connection, sweep_id, state.settings, state.plan[stage - 1])
        records.read()
        times = connection.call(_read_times, connection, sweep_id)
        for record in records.records.values():
            started_at, ended_at = times.get(record.run_id, (None, None))
            runs.append(ReportRun(record=record, started_at=started_at, ended_at=ended_at))
    return ReportData(state=state, runs=tuple(runs), written_at=datetime.now(UTC))


def _read_times(connection: Connection, sweep_id: str) -> dict[str, tuple[datetime, datetime]]:
    """Read when runs were trained: a run may have waited long between its creation and its start."""
    found = {}
    for run in connection.api.runs(connection.path, filters={"sweep": sweep_id}, per_page=PAGE, lazy=False):
        seconds = run.summary_metrics.get("_wandb", {}).get("runtime")
        if seconds is not None and run.heartbeat_at:
            ended_at = datetime.fromisoformat(run.heartbeat_at)
            found[run.id] = (ended_at - timedelta(seconds=seconds), ended_at)
    return found
