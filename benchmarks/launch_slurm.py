"""What workers on Slurm cost its controller and this side, on a real Slurm of four nodes on this machine.

First the nodes are drained, so all jobs wait: what is measured is one array submitted and recorded as a session does,
how often the controller is asked while they wait, and how long it takes to end them. Then a sweep trains with one
worker, whose arrays tell how long it is from sbatch's return to the first step of a training on an idle node. At last
eight workers train a whole sweep whose runs sleep: eight that computed would measure how many cores this machine has.
"""

import os
import tempfile
import time
from datetime import datetime
from pathlib import Path

from launch_sweeps import SECONDS, SleepingSweeps, find_command, make_folder, report_shares, report_starts

from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.slurm.launcher import SlurmLauncher
from multistage.launchers.slurm.options import JobOptions
from multistage.store.sweep_folder import write_atomically
from tests.slurm_cluster import SlurmCluster

SBATCH = """#!/bin/sh
case " $* " in *" --test-only "*) exec {sbatch} "$@";; esac
{sbatch} "$@"; code=$?
date +%s.%N >> {times}
exit $code
"""


def measure(workers: int | None, watch: float | None, budget: int | None, at_once: int) -> None:
    """Print the figures; None takes the usual value."""
    with tempfile.TemporaryDirectory(prefix="l-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        cluster = SlurmCluster(make_folder(place, "slurm"))
        cluster.memory_of_jobs = 7200
        with cluster:
            os.environ.update(cluster.environment)
            cluster.ask("scontrol", "update", f"NodeName={','.join(cluster.nodes)}", "State=DRAIN", "Reason=bench")
            launch(place, workers or 40, watch or 60.0)
            cluster.reset()
            if budget != 0:
                train(place, cluster, budget or 64, at_once)


def launch(place: Path, workers: int, watch: float) -> None:
    """Launch, record, watch, stop; print the figures."""
    launcher = SlurmLauncher(place / "logs", JobOptions(), variables={"WANDB_API_KEY": "k" * 40})
    known: dict[str, WorkerRecord] = {}
    began = time.perf_counter()
    for record in launcher.launch("local/bench/abc", workers):
        known[record.worker_id] = record
        write_atomically(place / "state.json", "\n".join(one.model_dump_json() for one in known.values()))
    print(f"{workers} workers submitted and recorded: {time.perf_counter() - began:.2f} s")
    asked, deadline = launcher.count_questions(), time.monotonic() + watch
    while time.monotonic() < deadline:
        assert all(launcher.is_alive(record) for record in known.values())
        time.sleep(0.5)
    asked = launcher.count_questions() - asked
    print(f"asked {asked} times in {watch:g} s: {asked / workers / (watch / 60):.3f} a worker and minute")
    print(launcher.explain_waiting(list(known.values())))
    began = time.perf_counter()
    launcher.stop(list(known.values()))
    print(f"{workers} workers ended: {time.perf_counter() - began:.2f} s")


def train(place: Path, cluster: SlurmCluster, budget: int, at_once: int) -> None:
    """Train two sweeps; print how fast a job begins, and what share of all jobs' time is training."""
    commands, times = make_folder(place, "bin"), place / "submitted"
    wrapper = commands / "sbatch"
    wrapper.write_text(SBATCH.format(sbatch=find_command("sbatch"), times=times))
    wrapper.chmod(0o755)
    variables = {**cluster.environment, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    sweeps = SleepingSweeps(place, variables)
    try:
        own = sweeps.train("alone", 2, 10, "--launcher", "slurm", "--workers", "1")
        firsts = [trainings[0].first for trainings in own.values()]
        submitted = [float(line) for line in times.read_text().split()]
        starts = [first - max(one for one in submitted if one < first) for first in firsts]
        report_starts("from sbatch's return to the first step", sweeps, starts)
        given = ("--launcher", "slurm", "--workers", str(at_once))
        trainings = sweeps.train("sleeping", SECONDS, budget, *given)
        print(f"at most {at_once} workers at once:")
        report_shares(sweeps, trainings, read_lives(cluster, {name.rpartition("-")[0] for name in trainings}))
    finally:
        sweeps.end()


def read_lives(cluster: SlurmCluster, arrays: set[str]) -> dict[str, tuple[float, float]]:
    """Read when the jobs of some arrays began and ended, which Slurm tells to the second."""
    lives = {}
    told = cluster.ask("squeue", "-h", "-r", "--states=all", "--format=%j|%K|%S|%e")
    for line in told.splitlines():
        array, number, began, ended = line.split("|")
        if array in arrays and began != "N/A":
            lives[f"{array}-{number}"] = (
                datetime.fromisoformat(began).timestamp(),
                datetime.fromisoformat(ended).timestamp(),
            )
    return lives
