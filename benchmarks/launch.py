"""What a hundred workers on Modal cost the orchestrator, on the stand-in: launching, recording and polling.

    python benchmarks/launch.py [--workers 100] [--watch 140]

No container is started: what is measured is this side of the wire.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from multistage.domain.resources import Resources
from multistage.domain.workers import WorkerRecord
from multistage.launchers.modal import ModalLauncher
from multistage.launchers.modal_app import describe_content
from multistage.orchestrator.sweep_folder import write_atomically
from tests.stand_ins.modal_server import ModalServer


def launch(workers: int, watch: float) -> None:
    """Launch, record as a session does, watch, stop; print the figures."""
    with (
        tempfile.TemporaryDirectory(prefix="l-") as folder,
        ModalServer(Path(folder), {"wandb-secret": {"WANDB_API_KEY": "k" * 40}}) as server,
    ):
        server.plane.start_delay = 86_400.0
        os.environ.update(server.environment)
        with ModalLauncher(Resources(), [describe_content(("digits",))], base_url="http://127.0.0.1:1") as launcher:
            began = time.perf_counter()
            list(launcher.launch("local/bench/deploy", 1))
            print(f"deploy and first worker: {time.perf_counter() - began:.2f} s")
            known: dict[str, WorkerRecord] = {}
            began = time.perf_counter()
            for record in launcher.launch("local/bench/abc", workers):
                known[record.worker_id] = record
                text = "\n".join(one.model_dump_json() for one in known.values())
                write_atomically(Path(folder) / "state.json", text)
            print(f"{workers} workers launched and recorded: {time.perf_counter() - began:.2f} s")
            before = server.wire.requests["FunctionGetOutputs"]
            deadline = time.monotonic() + watch
            while time.monotonic() < deadline:
                assert all(launcher.is_alive(record) for record in known.values())
                time.sleep(10.0)
            asked = server.wire.requests["FunctionGetOutputs"] - before
            print(f"polling: {asked / (workers + 1) / (watch / 60):.2f} requests a call and minute")
            began = time.perf_counter()
            launcher.stop(list(known.values()))
            print(f"{workers} workers stopped: {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--watch", type=float, default=140.0, help="seconds of polling")
    options = parser.parse_args()
    launch(options.workers, options.watch)
