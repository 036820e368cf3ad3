"""What workers on Slurm cost its controller and this side, on a real Slurm of four nodes on this machine.

    python benchmarks/launch_slurm.py [--workers 40] [--watch 60]

The nodes are drained, so all jobs wait: what is measured is one array submitted and recorded as a session does, how
often the controller is asked while they wait, and how long it takes to end them.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.slurm.launcher import SlurmLauncher
from multistage.launchers.slurm.options import JobOptions
from multistage.store.sweep_folder import write_atomically
from tests.slurm_cluster import SlurmCluster


def measure(workers: int, watch: float) -> None:
    """Launch, record, watch, stop; print the figures."""
    with tempfile.TemporaryDirectory(prefix="l-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        (place / "slurm").mkdir()
        with SlurmCluster(place / "slurm") as cluster:
            os.environ.update(cluster.environment)
            cluster.ask("scontrol", "update", f"NodeName={','.join(cluster.nodes)}", "State=DRAIN", "Reason=bench")
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


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=40)
    parser.add_argument("--watch", type=float, default=60.0, help="seconds")
    options = parser.parse_args()
    measure(options.workers, options.watch)


if __name__ == "__main__":
    main()
