"""The command that trains a sweep's best config again."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from multistage.cli.results import locate_runs
from multistage.errors import UsageError

if TYPE_CHECKING:
    from multistage.orchestrator.session import Session


def train(
    name: str,
    /,
    *,
    seed: int | None = None,
    runs: int = 1,
    runs_dir: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Train the config that a sweep recommends again, outside its budget, and show what comes of it.

    The runs are in the sweep's project, and are trained where the sweep was.

    Args:
        name: The sweep's name, its folder or its state.json.
        seed: The first run's; the next ones count on from it. [default: a new one]
        runs: How many, each with a seed of its own.
        runs_dir: Where the sweeps' folders lie.
        as_json: End the output with the result as one JSON object; everything else goes to the standard error.
    """
    if runs < 1 or (seed is not None and seed < 0):
        raise UsageError("--runs must be at least 1, and --seed at least 0.", "Leave them out for one run.")
    console = Console(stderr=as_json)
    with console.status("Opening the sweep ..."), open_for_training(name, locate_runs(runs_dir)) as session:
        from multistage.orchestrator.replication import ReplicatedSweep, average
        from multistage.report.banner import describe_recommendation, format_config, format_number
        from multistage.report.tables import select_best

        config = select_best(session.state)
        first = secrets.randbelow(2**31 - runs) if seed is None else seed
        seeds = [first + index for index in range(runs)]
        takes = session.settings.seed_parameter
        if takes is None and seed is not None:
            raise UsageError(
                "The training takes no seed.", "Begin the sweep with --seed-parameter NAME, or leave --seed out."
            )
        sweep = ReplicatedSweep(session, f"again, seed {first}", config, seeds)
        told = f", seed {', '.join(map(str, seeds))}" if takes else ""
        console.print(f"Training {format_config(config)}{told}", highlight=False, soft_wrap=True, markup=False)
        console.print(sweep.url, highlight=False, soft_wrap=True)
        with console.status("Training ..."):
            done = sweep.train()
    values = [run.value for run in done.runs if run.phase == "finished" and run.value is not None]
    for index, run in enumerate(done.runs):
        seeded = f" (seed {seeds[index]})" if takes else ""
        failed = f": {run.error}" if run.error else f": {run.phase}" if run.phase != "finished" else ""
        console.print(
            f"Run {run.run_id}{seeded}: {format_number(run.value)}{failed}",
            highlight=False, soft_wrap=True, markup=False,
        )  # fmt: skip
    mean = average(values)
    if mean is not None and mean.interval is not None:
        low, high = map(format_number, mean.interval)
        console.print(f"Mean of {mean.runs}: {format_number(mean.mean)} (95%: {low} to {high})", highlight=False)
    console.print(f"The sweep: {describe_recommendation(session.state)}", highlight=False, soft_wrap=True)
    if as_json:
        result = {
            "config": config,
            "seeds": seeds if takes else [],
            "runs": [{"run_id": run.run_id, "value": run.value, "phase": run.phase} for run in done.runs],
            "mean": mean.model_dump() if mean else None,
            "expected": session.state.recommended.model_dump() if session.state.recommended else None,
            "url": done.url,
        }
        print(json.dumps(result))
    return 0 if values else 1


@contextmanager
def open_for_training(name: str, runs_dir: Path) -> "Iterator[Session]":
    """Open a sweep that nobody drives, to train something beside it; keeps drivers out meanwhile.

    Raises:
        FolderError: There is no such sweep, or another process drives it.
    """
    from multistage.orchestrator.live_sweeps import register_sweep
    from multistage.orchestrator.session import close_session, open_session
    from multistage.orchestrator.sweep_folder import find_folder
    from multistage.settings import Settings

    folder = find_folder(name, runs_dir)
    folder.load_state()
    with folder.lock():
        register_sweep(Settings(), folder)
        try:
            yield open_session(folder.path)
        finally:
            close_session(folder.path)
