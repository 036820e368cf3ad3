"""How long a resume takes, and what the orchestrator needs, in figures.

    python -m benchmarks.resume [--finished 500 5000]

A sweep of ``digits:mlp`` with the default split is begun, its first two stages and a part of the third are filled with
finished runs in the embedded server's store, and it is resumed as a user would, with the Prefect server running:

- *first run*: from the start of ``multistage-sweep --resume`` until a newly started run trains. Target: 10 s.
- *memory*: of the orchestrator at that time, resident. Target: 300 MB.
- *state.json*: its size (target: 1 MB) and the median time of a write, synced to the disk (target: 20 ms).
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.state import State
from multistage.search.stage1 import plan_stage1
from multistage.services import ensure_prefect_server, ensure_wandb_server, stop_services
from multistage.services.embedded import build_wandb_service
from multistage.settings import Settings
from multistage.store.sweep_folder import SweepFolder
from multistage.wandb_server.nodes import ensure_project
from multistage.wandb_server.run_resolvers import create_run
from multistage.wandb_server.store import Store, dump_json, generate_id
from tests.flows.kill_points import SELF, Kill, order_kills, persisted

COMMAND = str(Path(sys.executable).parent / "multistage-sweep")
WRITES = 30


class Benchmark:
    """A user with one sweep.

    Args:
        home: Where everything of the user's is.
        finished: Runs that the sweep has when it is resumed.
    """

    def __init__(self, home: Path, finished: int) -> None:
        self.settings = Settings(home=home / "services")
        self.finished = finished
        self.budget = finished * 6 // 5
        self.folder = SweepFolder(home / "runs" / "resumed")
        dropped = ("WANDB_", "PREFECT_", "MULTISTAGE_")
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | {
            "HOME": str(home),
            "MULTISTAGE_HOME": str(self.settings.home),
        }
        self._dice = random.Random(0)

    def begin(self) -> list[str]:
        """The command that starts the sweep."""
        return [
            *(COMMAND, "digits:mlp", "--params", "learning_rate,alpha,hidden_size", "--budget", str(self.budget)),
            *("--workers", "2", "--runs-dir", str(self.folder.path.parent), "--name", self.folder.name),
        ]

    def resume(self) -> list[str]:
        """The command that goes on with it."""
        return [COMMAND, "--resume", str(self.folder.state_file)]

    def kill_at(self, command: list[str], step: str, marker: Path) -> None:
        """Run a command until it has done a step."""
        kill = Kill(persisted(step), "after", SELF, marker)
        orders = order_kills([kill], self.settings, self.folder)
        done = subprocess.run(command, env={**self._environment, **orders}, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr

    def fill(self, stage: int, count: int) -> None:
        """Put finished runs into a stage's sweep, as if they had been trained."""
        build_wandb_service(self.settings).stop()
        state = self.folder.load_state()
        sweep_id = find_sweep(self.settings, f"{self.folder.name} stage {stage} ({state.uid})")
        store = Store(self.settings.wandb_server_folder / "wandb.sqlite")
        project = ensure_project(store, state.entity, state.project)
        with store.transaction():
            for index, config in enumerate(self._choose_configs(state, stage, count)):
                value = 0.9 - 0.05 * abs(self._dice.gauss())
                create_run(
                    store,
                    project,
                    generate_id(),
                    sweep=sweep_id,
                    state="finished",
                    display_name=f"s{stage}-{index:04d}",
                    config=dump_json({key: {"value": one} for key, one in {**config, "seed": index}.items()}),
                    summary=dump_json(
                        {state.metric_name: value, "train/loss": 1 - value, "_runtime": 1.0, "_step": 30}
                    ),
                )
        store.close()

    def _choose_configs(self, state: State, stage: int, count: int) -> list[dict[str, bool | int | float | str]]:
        settings = state.settings
        space = state.stages_completed[-1].next_space if stage > 1 else None
        box: SearchSpace = space or settings.space
        seed = settings.seed if stage == 1 else stage
        return plan_stage1(box, settings.stage1 if stage == 1 else "sobol", settings.grid_resolution, count, seed)

    def measure_resume(self) -> tuple[float, float, float]:
        """Resume until a run trains that did not before; returns seconds, and the orchestrator's CPU seconds and MB."""
        ensure_wandb_server(self.settings)
        started = time.perf_counter()
        process = subprocess.Popen(self.resume(), env=self._environment, stdout=subprocess.DEVNULL)
        store = Store(self.settings.wandb_server_folder / "wandb.sqlite")
        while not store.value("SELECT count(*) FROM runs WHERE state = 'running'"):
            assert process.poll() is None
            time.sleep(0.05)
        seconds = time.perf_counter() - started
        driver = psutil.Process(process.pid)
        memory = driver.memory_info().rss / 1e6
        computed = sum(driver.cpu_times()[:2])
        store.close()
        process.send_signal(signal.SIGINT)
        process.wait(60)
        return seconds, computed, memory


def find_sweep(settings: Settings, name: str) -> str:
    """Find the id of a sweep by its name."""
    store = Store(settings.wandb_server_folder / "wandb.sqlite")
    rows = [row for row in store.all("SELECT name, config FROM sweeps") if name in row["config"]]
    store.close()
    assert len(rows) == 1
    return str(rows[0]["name"])


def measure(finished: int) -> None:
    """Print the figures of one size."""
    with tempfile.TemporaryDirectory(prefix="resume-") as place:
        home = Path(place)
        benchmark = Benchmark(home, finished)
        try:
            ensure_prefect_server(benchmark.settings)
            benchmark.kill_at(benchmark.begin(), "stage1-create_sweep", home / "1")
            first, second, _ = benchmark.folder.load_state().plan
            benchmark.fill(1, first.runs)
            benchmark.kill_at(benchmark.resume(), "stage2-create_sweep", home / "2")
            benchmark.fill(2, second.runs)
            benchmark.kill_at(benchmark.resume(), "stage3-create_sweep", home / "3")
            benchmark.fill(3, finished - first.runs - second.runs)
            for attempt in ("first resume", "next resume"):
                seconds, computed, memory = benchmark.measure_resume()
                print(
                    f"{finished} finished runs, {attempt}: first run {seconds:.1f} s, of which the orchestrator "
                    f"computed {computed:.1f} s; its memory {memory:.0f} MB",
                    flush=True,
                )
            state = benchmark.folder.load_state()
            size = benchmark.folder.state_file.stat().st_size
            times = []
            for _ in range(WRITES):
                started = time.perf_counter()
                benchmark.folder.write_state(state)
                times.append(1000 * (time.perf_counter() - started))
            print(
                f"{finished} finished runs: state.json {size / 1e3:.0f} kB, a write {statistics.median(times):.1f} ms"
            )
        finally:
            stop_services(benchmark.settings)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--finished", type=int, nargs="+", default=[500, 5000])
    for finished in parser.parse_args().finished:
        measure(finished)


if __name__ == "__main__":
    main()
