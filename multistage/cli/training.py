"""The commands that train beside a sweep: its best config again, or other searches with its budget."""

import json
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from multistage.cli.paths import TypedPath
from multistage.cli.showing import locate_runs
from multistage.cli.sweeping import explain_interruption
from multistage.errors import UsageError

if TYPE_CHECKING:
    from multistage.driver.session import Session


def train(
    name: str,
    /,
    *,
    seed: int | None = None,
    runs: int = 1,
    runs_dir: TypedPath | None = None,
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
    with console.status("Opening the sweep ..."), open_for_training(name, *locate_runs(runs_dir)) as session:
        from multistage.domain.runs.comparison import average
        from multistage.report.banner import describe_recommendation, format_config, format_number
        from multistage.report.best_config import select_best
        from multistage.report.costs import format_dollars
        from multistage.request.resume_line import write_name
        from multistage.retraining.replication import find_seed_parameter, replicate

        config = select_best(session.state)
        first = secrets.randbelow(2**31 - runs) if seed is None else seed
        seeds = [first + index for index in range(runs)]
        takes = find_seed_parameter(session)
        if takes is None and seed is not None:
            raise UsageError(
                "The training takes no seed.", "Begin the sweep with --seed-param NAME, or leave --seed out."
            )
        sweep = replicate(session, f"again, seed {first}", config, seeds)
        told = f", seed {', '.join(map(str, seeds))}" if takes else ""
        console.print(f"Training {format_config(config)}{told}", highlight=False, soft_wrap=True, markup=False)
        console.print(sweep.url, highlight=False, soft_wrap=True)
        seeded = f" --seed {first}" if takes else ""
        again = f"multistage-sweep train {write_name(session.folder)}{seeded} --runs {runs}"
        with console.status("Training ..."), explain_interruption(console, again=again):
            slots = sweep.train()
    runs_done = [slots[index].decisive for index in sorted(slots)]
    values = [run.value for run in runs_done if run.phase == "finished" and run.value is not None]
    for index, run in enumerate(runs_done):
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
    if sweep.dollars is not None:
        console.print(f"Cost: {format_dollars(sweep.dollars)}", highlight=False)
    console.print(f"The sweep: {describe_recommendation(session.state)}", highlight=False, soft_wrap=True)
    if as_json:
        result = {
            "config": config,
            "seeds": seeds if takes else [],
            "runs": [{"run_id": run.run_id, "value": run.value, "phase": run.phase} for run in runs_done],
            "mean": mean.model_dump() if mean else None,
            "expected": session.state.recommended.model_dump() if session.state.recommended else None,
            "dollars": sweep.dollars,
            "url": sweep.url,
        }
        print(json.dumps(result))
    return 0 if values else 1


def compare(
    name: str,
    /,
    *,
    seeds: int = 5,
    runs_dir: TypedPath | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Put a completed sweep beside two searches in one stage, random and Bayesian, with the same budget.

    This trains twice the sweep's budget again, and each of the three winners on fresh seeds. What was interrupted goes
    on with the same command. The result is kept in the sweep's folder, as comparison.json.

    Args:
        name: The sweep's name, its folder or its state.json.
        seeds: Fresh seeds on which each winner is trained again.
        runs_dir: Where the sweeps' folders lie.
        as_json: End the output with the result as one JSON object; everything else goes to the standard error.
    """
    if seeds < 2:
        raise UsageError("--seeds must be at least 2: one value has no interval.", "Leave it out for 5.")
    console = Console(stderr=as_json)
    with console.status("Opening the sweep ...") as status, open_for_training(name, *locate_runs(runs_dir)) as session:
        from multistage.report.comparison import draw_comparison
        from multistage.request.resume_line import write_name
        from multistage.retraining.other_searches import compare_methods
        from multistage.store.sweep_folder import write_atomically

        again = f"multistage-sweep compare {write_name(session.folder)} --seeds {seeds}"
        with explain_interruption(console, again=again):
            comparison = compare_methods(session, seeds, status.update)
        path = session.folder.path / "comparison.json"
        write_atomically(path, comparison.model_dump_json(indent=2) + "\n")
    console.print(draw_comparison(comparison))
    console.print(f"Kept in {path}", highlight=False, soft_wrap=True, markup=False)
    if as_json:
        print(comparison.model_dump_json())
    return 0


@contextmanager
def open_for_training(name: str, *runs_dirs: Path) -> "Iterator[Session]":
    """Open a sweep that nobody drives, to train something beside it; keeps drivers out meanwhile.

    Raises:
        FolderError: There is no such sweep, or another process drives it.
    """
    from multistage.driver.open_sessions import close_session, open_session
    from multistage.settings import Settings
    from multistage.store.live_records import register_sweep
    from multistage.store.sweep_folder import find_folder

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = find_folder(name, *runs_dirs)
    folder.load_state()
    with folder.lock():
        register_sweep(Settings(), folder)
        try:
            yield open_session(folder.path)
        finally:
            close_session(folder.path)
