"""What a run costs besides its training, in figures.

``python benchmarks/overhead.py`` trains runs of a bundled trainer with local workers on an embedded server of its own::

    python benchmarks/overhead.py                                   # digits:mlp, 30 runs of about 2 s
    python benchmarks/overhead.py --config-id CartPole-v1:ppo --runs 8
    python benchmarks/overhead.py --sweep-folder runs/multistage_sweep_CartPole-v1_ppo

The last one measures a finished sweep instead, with the tracker that it ran on.

- *gap*: from a run's last training step to the first one of the same worker's next run. Target: 0.4 s (median).
- *share*: the part of the workers' time that is training, from the first run's first step to the last run's last.
  Target: 90% over a whole sweep of CartPole-v1:ppo. Where two workers end at different times, the one's waiting counts.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import wandb

from multistage.domain.model import Model
from multistage.domain.workers.styles import BUNDLED_PROGRAM
from multistage.launchers.local.launcher import LocalLauncher
from multistage.services import inspect_services
from multistage.settings import Settings
from multistage.store.sweep_folder import SweepFolder
from multistage.training.catalogue import TRAINERS

RUN_END = re.compile(r"--- run (\S+) exit code 0")
"""How a worker's log names a run that it has trained."""


class Span(Model):
    """The training of one run."""

    worker: str
    first_step: float
    last_step: float
    """Seconds since the epoch."""


def read_spans(runs: Sequence[wandb.apis.public.Run], logs: Path) -> list[Span]:
    """The trainings of finished runs, with the workers that did them, by the workers' logs."""
    worker_of = {run_id: log.stem for log in logs.glob("worker-*.log") for run_id in RUN_END.findall(log.read_text())}
    return [
        Span(
            worker=worker_of[run.id],
            first_step=run.summary["time/first_step"],
            last_step=run.summary["time/last_step"],
        )
        for run in runs
        if run.state == "finished" and run.id in worker_of
    ]


def list_gaps(spans: Sequence[Span]) -> list[float]:
    """Seconds between a run's last step and the same worker's next first one."""
    ordered = sorted(spans, key=lambda span: (span.worker, span.first_step))
    return [
        later.first_step - earlier.last_step for earlier, later in pairwise(ordered) if earlier.worker == later.worker
    ]


def report(spans: Sequence[Span], workers: int) -> None:
    """Print the figures of all spans together."""
    training = sum(span.last_step - span.first_step for span in spans)
    wall = max(span.last_step for span in spans) - min(span.first_step for span in spans)
    gaps = list_gaps(spans)
    print(f"runs                 {len(spans)} on {workers} workers")
    print(
        f"training of a run    {statistics.median(span.last_step - span.first_step for span in spans):.2f} s (median)"
    )
    print(f"wall time            {wall:.1f} s, from the first run's first step to the last one's last")
    if gaps:
        print(
            f"gap                  {statistics.median(gaps):.3f} s (median), {max(gaps):.3f} s (longest of {len(gaps)})"
        )
    print(f"share                {training / wall / workers:.1%} of the workers' time is training")


@contextmanager
def serve(folder: Path) -> Iterator[Mapping[str, str]]:
    """An embedded server on a free port, and the environment of its clients."""
    command = [sys.executable, "-m", "multistage.wandb_server", "--data", str(folder / "data")]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        announcement = folder / "data" / "server.json"
        while not announcement.exists():
            if server.poll() is not None:
                raise SystemExit((folder / "server.log").read_text())
            time.sleep(0.05)
        url = json.loads(announcement.read_text())["url"]
        yield {"WANDB_BASE_URL": url, "WANDB_API_KEY": (folder / "data" / "key").read_text().strip()}
    finally:
        server.terminate()
        server.wait()


def queue(config_id: str, runs: int, fixed: Mapping[str, str]) -> str:
    """Create a sweep with so many queued runs; returns its path."""
    trainer = TRAINERS[config_id]
    api = wandb.Api()
    definition = {
        "method": "custom",
        "scheduler": {"engine": "multistage"},
        "program": BUNDLED_PROGRAM,
        "command": trainer.command,
        "metric": {"name": trainer.metric, "goal": trainer.goal},
        "parameters": {"seed": {"values": [0]}},
    }
    path = f"{api.default_entity}/overhead/{wandb.sweep(definition, entity=api.default_entity, project='overhead')}"
    sweep = api.sweep(path)  # type: ignore[no-untyped-call]
    for seed in range(runs):
        values = {"seed": seed, **fixed}
        sweep.enqueue_run({name: {"value": value} for name, value in values.items()}, display_name=f"run-{seed:04d}")
    return path


def measure_trainer(config_id: str, runs: int, workers: int, fixed: Mapping[str, str]) -> None:
    """Train runs with local workers, and report."""
    with tempfile.TemporaryDirectory(prefix="overhead-") as name:
        folder = Path(name)
        with serve(folder) as environment:
            os.environ.update(environment, WANDB_SILENT="true", WANDB_DIR=name)
            with closing(
                LocalLauncher(folder / "logs", environment=environment, config_id=config_id, idle=2.0)
            ) as launcher:
                launcher.prepare()
                sweep = queue(config_id, runs, fixed)
                started = time.time()
                records = launcher.launch(sweep, workers)
                while any(launcher.is_alive(record) for record in records):
                    time.sleep(0.1)
            project, _, sweep_id = sweep.rpartition("/")
            spans = read_spans(list(wandb.Api().runs(project, filters={"sweep": sweep_id})), folder / "logs")
            print(f"config               {config_id}")
            print(f"launch               {min(span.first_step for span in spans) - started:.1f} s to the first step")
            report(spans, workers)
            wandb.teardown()


def measure_sweep(path: Path, workers: int) -> None:
    """Report on a finished sweep, stage by stage and in all."""
    folder = SweepFolder(path)
    state = folder.load_state()
    server = inspect_services(Settings()).wandb
    if server is not None:
        os.environ.setdefault("WANDB_BASE_URL", server.url)
        os.environ.setdefault("WANDB_API_KEY", server.key)
    api = wandb.Api()
    project = f"{state.entity}/{state.project}"
    spans: list[Span] = []
    for record in state.stages_completed:
        runs = list(api.runs(project, filters={"sweep": record.sweep_id}, per_page=500))
        stage = read_spans(runs, folder.logs)
        print(f"--- stage {record.stage}")
        report(stage, workers)
        spans += stage
    print(f"--- {state.name}")
    report(spans, workers)
    wandb.teardown()


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config-id", choices=sorted(TRAINERS), default="digits:mlp")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the training")
    parser.add_argument("--sweep-folder", type=Path, help="measure this finished sweep instead")
    options = parser.parse_args()
    if options.sweep_folder is not None:
        measure_sweep(options.sweep_folder, options.workers)
        return
    fixed = {"epochs": "120"} if options.config_id == "digits:mlp" else {}
    fixed |= dict(setting.split("=", 1) for setting in options.set)
    measure_trainer(options.config_id, options.runs, options.workers, fixed)


if __name__ == "__main__":
    main()
