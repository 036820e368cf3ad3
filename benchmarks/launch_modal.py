"""What workers on Modal cost, on the stand-in: a hundred of them the orchestrator, and eight of them their containers.

    python benchmarks/launch.py --launcher modal [--workers 100] [--watch 140] [--budget 160] [--at-once 8]

For the first, launching, recording and polling, no container is started: what is measured is this side of the wire.
For the second a whole sweep runs with eight workers at once, of trainings that sleep for 20 s: eight that computed
would measure how many cores this machine has. A budget of 160 gives stages of 48, 80 and 32 runs, so that no container
waits for others at a stage's end. What starting containers and programs costs is measured on this machine's cores all
the same.
"""

import os
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.modal.app import describe_content
from multistage.launchers.modal.launcher import ModalLauncher
from multistage.options.modal import Resources
from multistage.store.sweep_folder import write_atomically
from tests.launchers.modal.modal_sweeps import ModalSweeps
from tests.server_process import ServerProcess
from tests.stand_ins.modal_server import ModalServer


def launch(workers: int, watch: float) -> None:
    """Launch, record as a session does, watch, stop; print the figures."""
    with (
        tempfile.TemporaryDirectory(prefix="l-") as folder,
        ModalServer(Path(folder), {"wandb-secret": {"WANDB_API_KEY": "k" * 40}}) as server,
    ):
        server.plane.start_delay = 86_400.0
        os.environ.update(server.environment)
        with closing(
            ModalLauncher(Resources(), [describe_content(("digits",))], base_url="http://127.0.0.1:1")
        ) as launcher:
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


TRAIN = """
import atexit, os, sys, time
began = time.time()
container = os.environ["MODAL_TASK_ID"]
atexit.register(lambda: os.write(log, f"{container} {began} {time.time()}\\n".encode()))
log = os.open(os.path.join(os.path.dirname(__file__), "trainings"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
import wandb
run = wandb.init()
for step in range(20):
    time.sleep(1)
    run.log({"score": -(run.config["x"] - 0.3) ** 2})
run.finish()
"""


def train(workers: int, budget: int) -> None:
    """Run a whole sweep of trainings that sleep for 20 s; print what share of the containers' time they are."""
    with (
        tempfile.TemporaryDirectory(prefix="t-") as folder,
        ServerProcess(make_folder(folder, "tracker")) as tracker,
        ModalServer(make_folder(folder, "m"), {"wandb-secret": {"WANDB_API_KEY": tracker.key}}) as modal,
    ):
        sweeps = ModalSweeps(make_folder(folder, "home"), modal, tracker)
        project = make_folder(folder, "project")
        (project / "train.py").write_text(TRAIN)
        try:
            began = time.perf_counter()
            done = sweeps.call(
                *("mine:v1", "--program", str(project / "train.py"), "--project-dir", str(project)),
                *("--params", "x:0-1", "--metric", "score", "--budget", str(budget)),
                *("--launcher", "modal", "--workers", str(workers), "--name", "sleeping"),
                timeout=3600,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            elapsed = time.perf_counter() - began
        finally:
            sweeps.close()
        trainings: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for line in (project / "trainings").read_text().splitlines():
            task_id, began_at, ended_at = line.split()
            trainings[task_id].append((float(began_at), float(ended_at)))
        stages = sweeps.read("sleeping").stages_completed
        lost = ", ".join(str(record.attempts_lost) for record in stages)
        containers = modal.plane.containers
        print(f"{budget} runs of 20 s, {workers} workers: {elapsed:.0f} s, {len(containers)} containers")
        print(f"attempts lost, by stage: {lost}")
        paid = sum(one.ended_at - one.started_at for one in containers)
        every = [training for own in trainings.values() for training in own]
        print(f"containers' time: {paid:.0f} s, trainings {sum(end - start for start, end in every) / paid:.1%} of it")
        print(f"their 20 s alone: {20 * len(every) / paid:.1%} of it")
        used = [(one, sorted(trainings[one.task_id])) for one in containers if trainings[one.task_id]]
        starts = sum(own[0][0] - one.started_at for one, own in used)
        ends = sum(one.ended_at - own[-1][1] for one, own in used)
        between = sum(own[-1][1] - own[0][0] - sum(end - start for start, end in own) for _, own in used)
        print(f"the rest: before the first training {starts:.0f} s, between them {between:.0f} s, after {ends:.0f} s")


def make_folder(parent: str, name: str) -> Path:
    """Make a folder within another."""
    path = Path(parent, name)
    path.mkdir()
    return path


def measure(workers: int | None, watch: float | None, budget: int | None, at_once: int) -> None:
    """Print the figures; None takes the usual value."""
    launch(workers or 100, watch or 140.0)
    if budget != 0:
        train(at_once, budget or 160)
