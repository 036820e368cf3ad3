"""Read what a report shows from the tracker."""

import math
from datetime import UTC, datetime

from wandb.apis.public.runs import Run

from multistage.domain.runs.slots import RunRecord
from multistage.domain.sweep.state import State
from multistage.report.data import Curve, ReportData
from multistage.store.sweep_folder import SweepFolder
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.run_archive import RunArchive
from multistage.wandb_client.run_reader import PAGE, RunReader
from multistage.wandb_client.slot_ledger import SlotLedger
from multistage.wandb_client.worker_lookup import read_workers

MOST_CURVES = 24
"""Runs whose learning curves are read: a request each."""
MOST_ROWS = 200
"""Points of a curve."""


def collect_report(connection: Connection, state: State, folder: SweepFolder) -> ReportData:
    """Read all runs of a sweep's stages, and the learning curves of those that lead.

    Args:
        connection: Where the sweep is.
        state: The sweep.
        folder: Where its state lies.

    Raises:
        TrackerError: If the server cannot be reached.
    """
    sweeps = {record.stage: record.sweep_id for record in state.stages_completed}
    if state.current_stage is not None and state.current_stage.sweep_id is not None:
        sweeps[state.current_stage.stage] = state.current_stage.sweep_id
    runs: list[RunRecord] = []
    for stage, sweep_id in sorted(sweeps.items()):
        prior = [run.run_id for run in runs]
        archive = RunArchive(folder.locate_archive(sweep_id))
        ledger = SlotLedger(folder.locate_ledger(sweep_id)) if state.settings.proposer == "ours" else None
        reader = RunReader(connection, sweep_id, state.settings, state.plan[stage - 1], prior, archive, ledger)
        reader.read()
        workers = read_workers(connection, sweep_id)
        runs += (run.model_copy(update={"worker": workers.get(run.run_id)}) for run in reader.records.values())
    data = ReportData(state=state, runs=tuple(runs), folder=folder.path, written_at=datetime.now(UTC))
    leading = [leader.run_id for leader in data.leaders[:MOST_CURVES] if leader.run_id]
    curves = connection.call(_read_curves, connection, state.metric_name, leading) if leading else ()
    return data.model_copy(update={"curves": curves})


def _read_curves(connection: Connection, metric: str, run_ids: list[str]) -> tuple[Curve, ...]:
    found = connection.api.runs(connection.path, filters={"name": {"$in": run_ids}}, per_page=PAGE)
    curves = (_read_curve(run, metric) for run in found)
    return tuple(sorted((curve for curve in curves if curve.values), key=lambda curve: run_ids.index(curve.run_id)))


def _read_curve(run: Run, metric: str) -> Curve:
    """Read a run's metric, sampled by the server; what is not a finite number is left out."""
    rows = run.history(samples=MOST_ROWS, keys=[metric], pandas=False)
    points = [
        (float(row["_step"]), float(row[metric]))
        for row in rows
        if isinstance(row.get(metric), int | float) and math.isfinite(row[metric])
    ]
    return Curve(run_id=run.id, steps=tuple(step for step, _ in points), values=tuple(value for _, value in points))
