"""A sweep of thousands of runs of half a second each: prints figures, asserts nothing.

    python -m benchmarks.scale [--at 100 1000 2000]

The driver of a stage, the wandb client and the embedded server are those of a sweep. The workers are not: they take
their runs and report them at the level of the protocol, without a training, as many between two looks as eight workers
would finish in 0.3 s. So the figures tell what a look costs beside the trainings, and nothing of those.

Beside other work on the machine the CPU seconds of this process tell more than the seconds that pass.
At each number of finished runs: a look without what is proposed and enqueued in it, and its parts; a proposal of one
config; ``state.json``'s size and the time that writing it takes; memory of this process and of the server. The look at
the most runs over that at the fewest should stay below 1.5.
"""

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import psutil

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.runs.slots import RunRecord, SlotName, Slots
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import StagePlan
from multistage.domain.sweep.state import StageProgress
from multistage.driver.stage_driver import StageDriver, measure_progress
from multistage.driver.sweep_tracker import SweepTracker
from multistage.search.base import Proposal, SearchProblem
from multistage.search.searchers.gp import GaussianProcessSearcher
from multistage.store.journal import Journal
from multistage.store.sweep_folder import SweepFolder
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.run_archive import RunArchive
from multistage.wandb_client.slot_ledger import SlotLedger
from multistage.wandb_client.sweep_calls import build_sweep_config, create_sweep
from tests.driver.drivers import SPACE, MemoryFleet, judge
from tests.server_process import ServerProcess
from tests.states import BEGAN, make_settings, make_state
from tests.wandb_server.protocol_sweeps import CREATE_AGENT, beat
from tests.wandb_server.server_requests import Session

WORKERS = 8
BETWEEN = 5
"""Runs that end between two looks."""
LOOKS = 40
"""Looks that are measured at each number of runs."""
PROJECT = "scale"


class Clock:
    """Seconds that the parts of the looks took, by the part's name."""

    def __init__(self) -> None:
        self.parts: dict[str, list[float]] = defaultdict(list)
        self.aside = self.cpu_aside = 0.0
        """Of the current look: what does not count as its own."""

    @contextmanager
    def take(self, part: str, *, aside: bool = False) -> Iterator[None]:
        """Measure a block; one that is set aside does not count in the look that it is a part of."""
        began, cpu = time.perf_counter(), time.process_time()
        yield
        took = time.perf_counter() - began
        self.parts[part].append(took)
        if aside:
            self.aside += took
            self.cpu_aside += time.process_time() - cpu


class TimedTracker(SweepTracker):
    """A sweep's tracker that tells what asking and enqueuing take."""

    clock: Clock

    def read(self) -> Sequence[RunRecord]:
        """Read what changed."""
        with self.clock.take("asking the server"):
            return super().read()

    def enqueue(self, name: SlotName, config: Config, seed: int | None) -> None:
        """Enqueue a run."""
        with self.clock.take("enqueuing a run", aside=True):
            super().enqueue(name, config, seed)


class TimedSearch(GaussianProcessSearcher):
    """The search, which proposes at random while the sweep grows."""

    clock: Clock
    at_random = True

    def propose(
        self,
        stage: Literal[2, 3],
        box: SearchSpace,
        evaluations: Sequence[Evaluation],
        pending: Sequence[Proposal],
        used: int,
        count: int,
    ) -> list[Proposal]:
        """Propose configs."""
        if self.at_random:
            return [Proposal(config={one.name: one.from_unit(random.random()) for one in box.parameters})
                    for _ in range(count)]  # fmt: skip
        with self.clock.take("proposing", aside=True):
            return list(super().propose(stage, box, evaluations, pending, used, count))


class Workers:
    """Agents at the level of the protocol."""

    def __init__(self, server: ServerProcess, sweep_id: str) -> None:
        self._session = Session(server)
        self._agents = [
            self._session.ask(CREATE_AGENT, p=PROJECT, s=sweep_id)["createAgent"]["agent"]["id"] for _ in range(WORKERS)
        ]
        self._running: dict[str, dict[str, Any]] = {}

    def work(self, count: int) -> None:
        """End up to so many runs, and begin others where some are queued."""
        for agent in self._agents[:count]:
            self._end(agent)
            for command in beat(self._session, agent):
                self._session.start_run(PROJECT, command["run_id"], config=json.dumps(command["args"]))
                self._running[agent] = command
        self._agents = self._agents[count:] + self._agents[:count]

    def _end(self, agent: str) -> None:
        command = self._running.pop(agent, None)
        if command is None:
            return
        score = judge({key: entry["value"] for key, entry in command["args"].items()})
        row = json.dumps({"score": score, "_step": 0, "_runtime": 0.5, "_timestamp": time.time()})
        files = {name: {"offset": 0, "content": [row]} for name in ("wandb-history.jsonl", "wandb-summary.json")}
        self._session.report(PROJECT, command["run_id"], files=files, complete=True, exitcode=0)


def open_journal(folder: SweepFolder, stage: StagePlan) -> Journal:
    """Write the state of a sweep whose second stage has begun."""
    progress = StageProgress(stage=2, runs=stage.runs, started_at=BEGAN)
    folder.write_state(make_state(1, current_stage=progress))
    return Journal(folder)


def report_to(journal: Journal) -> Callable[[Slots], None]:
    """Write the state whenever the progress has changed, as a sweep does."""

    def report(slots: Slots) -> None:
        before = journal.state.current_stage
        assert before is not None
        now = measure_progress(before, slots, "maximize")
        if now != before:
            journal.update(current_stage=now, budget_used=now.used)

    return report


def open_driver(server: ServerProcess, folder: SweepFolder, runs: int, clock: Clock) -> tuple[StageDriver, Workers]:
    """Begin a stage of so many runs."""
    settings = make_settings(space=SPACE, metric="score", budget=2 * runs, project=PROJECT, goal="maximize")
    stage = StagePlan(stage=2, runs=runs, method="gaussian process")
    connection = Connection(server.url, server.key, "local", PROJECT)
    sweep_id = create_sweep(connection, build_sweep_config(settings, stage, SPACE, "scale"))
    search = TimedSearch(SearchProblem(space=SPACE, goal="maximize", budgets=(0, runs, 0)))
    archive, ledger = RunArchive(folder.locate_archive(sweep_id)), SlotLedger(folder.locate_ledger(sweep_id))
    tracker = TimedTracker(connection, sweep_id, settings, stage, lambda: None, archive=archive, ledger=ledger)
    search.clock = tracker.clock = clock
    driver = StageDriver(
        settings=settings,
        stage=stage,
        box=SPACE,
        earlier=(),
        search=search,
        tracker=tracker,
        fleet=MemoryFleet(),
        ahead=WORKERS,
        report=report_to(open_journal(folder, stage)),
    )
    return driver, Workers(server, sweep_id)


def count_finished(driver: StageDriver) -> int:
    """How many runs the driver knows as finished."""
    return sum(run.phase == "finished" for run in driver._tracker.records.values())


def look(driver: StageDriver, clock: Clock) -> None:
    """One look of the driver."""
    clock.aside = clock.cpu_aside = 0.0
    began, cpu = time.perf_counter(), time.process_time()
    driver._advance()
    clock.parts["a look"].append(time.perf_counter() - began - clock.aside)
    clock.parts["CPU of a look"].append(time.process_time() - cpu - clock.cpu_aside)


def measure(driver: StageDriver, workers: Workers, clock: Clock, folder: SweepFolder) -> dict[str, float]:
    """The medians of what some looks cost, in milliseconds."""
    search = driver._search
    assert isinstance(search, TimedSearch)
    clock.parts.clear()
    for place in range(LOOKS):
        workers.work(BETWEEN)
        search.at_random = place % 8 != 0
        look(driver, clock)
    search.at_random = True
    journal = Journal(folder)
    for _ in range(20):
        with clock.take("writing state.json"):
            journal.update()
    return {part: statistics.median(times) * 1000 for part, times in clock.parts.items()}


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", type=int, nargs="+", default=[100, 1000, 2000])
    arguments = parser.parse_args()
    clock, looks = Clock(), []
    with tempfile.TemporaryDirectory() as name, ServerProcess(Path(name)) as server:
        os.environ.update({key: value for key, value in server.environment.items() if key.startswith("WANDB_")})
        assert server.process is not None
        folder = SweepFolder(Path(name) / "sweep")
        driver, workers = open_driver(server, folder, max(arguments.at) + LOOKS * BETWEEN + WORKERS, clock)
        for runs in sorted(arguments.at):
            while count_finished(driver) < runs:
                look(driver, clock)
                workers.work(WORKERS)
            found = measure(driver, workers, clock, folder)
            looks.append((found["a look"], found["CPU of a look"]))
            told = ", ".join(f"{part} {took:.1f} ms" for part, took in sorted(found.items()))
            own, others = psutil.Process().memory_info().rss, psutil.Process(server.process.pid).memory_info().rss
            size = folder.state_file.stat().st_size
            print(f"{runs} runs: {told}; state.json {size / 1000:.1f} kB; ", end="")
            print(f"memory {own / 1e6:.0f} MB, the server's {others / 1e6:.0f} MB", flush=True)
    wall, cpu = (most / fewest for most, fewest in zip(looks[-1], looks[0], strict=True))
    print(f"a look at the most runs over one at the fewest: {wall:.2f} (goal: below 1.5), in CPU {cpu:.2f}")


if __name__ == "__main__":
    main()
