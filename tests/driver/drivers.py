"""Drivers of stages whose tracker and workers are in memory: runs finish, fail and are lost as they are told."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Literal

import numpy as np

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.runs.slots import RunPhase, RunRecord, SlotName, Slots
from multistage.domain.runs.vigilance import Intake
from multistage.domain.space.parameters import FloatParameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import StageNumber, StagePlan, SweepSettings, plan_sweep
from multistage.driver.stage_driver import StageDriver
from multistage.errors import TrackerError
from multistage.search.base import Proposal, Searcher, SearchProblem
from multistage.search.searchers.gp import GaussianProcessSearcher
from tests.states import make_settings

SPACE = SearchSpace(
    parameters=(FloatParameter(name="lr", low=1e-4, high=1e-1, scale="log"), FloatParameter(name="a", low=0, high=1))
)
Fate = Callable[[SlotName], RunPhase]


def finish(_: SlotName) -> RunPhase:
    return "finished"


def fail(_: SlotName) -> RunPhase:
    return "failed"


def judge(config: Config) -> float:
    return -((math.log10(float(config["lr"])) + 2) ** 2) - float(config["a"])


class MemoryTracker:
    """A sweep in memory, and the workers that train it: two runs start, and two end, between two looks.

    Args:
        fate: How a run ends.
        logged: The keys that finished runs logged; the metric's value goes with the first, ``score``.
        error: What a failed run says.
        value: What a config reaches.
    """

    def __init__(
        self,
        fate: Fate = finish,
        logged: tuple[str, ...] = ("score",),
        error: str = "",
        value: Callable[[Config], float | None] = judge,
    ) -> None:
        self.records: dict[str, RunRecord] = {}
        self.interval = 0.0
        self.fate = fate
        self.logged = logged
        self.error = error
        self.value = value
        self.enqueued: list[tuple[SlotName, Config, int | None]] = []
        self.outages: list[TrackerError] = []
        self.waits = 0
        self.intake: Intake = "open"
        self.stopped: list[str] = []
        self.looked_at_all = 0
        self.late: dict[str, RunRecord] = {}
        """What the server knows, and tells only whoever asks for all runs."""
        self._runs: dict[str, RunRecord] = {}
        self._ids = count()
        self.worker: Callable[[SlotName], str | None] = lambda _: None

    def read(self) -> Sequence[RunRecord]:
        if self.outages:
            raise self.outages.pop()
        self.work()
        return self._tell()

    def _tell(self) -> Sequence[RunRecord]:
        changed = [run for run in self._runs.values() if self.records.get(run.run_id) != run]
        self.records.update({run.run_id: run for run in changed})
        return changed

    def read_all(self) -> bool:
        self.looked_at_all += 1
        late, self.late = self.late, {}
        self._runs |= late
        return bool(self._tell())

    def describe_count(self) -> str:
        return f"{len(self._runs)} runs"

    def read_workers(self) -> Mapping[str, str]:
        found = {run.run_id: self.worker(run.name) for run in self._runs.values()}
        return {run_id: worker for run_id, worker in found.items() if worker is not None}

    def complete(self) -> None:
        """Nothing is ever left open here."""

    def fill(self, runs: int) -> None:
        """Propose runs as W&B's engine does."""
        for index in range(runs):
            self.enqueue(SlotName(stage=2, index=index), {"lr": 1e-2, "a": 0.5}, None)

    def work(self) -> None:
        active = [run for run in self._runs.values() if run.phase == "active"][:2]
        queued = [run for run in self._runs.values() if run.phase == "queued"][:2]
        for run in active:
            self._settle(run, self.fate(run.name))
        for run in queued:
            self._runs[run.run_id] = run.model_copy(update={"phase": "active"})

    def _settle(self, run: RunRecord, phase: RunPhase) -> None:
        has_value = phase == "finished" and "score" in self.logged
        self._runs[run.run_id] = run.model_copy(
            update={
                "phase": phase,
                "value": self.value(run.config) if has_value else None,
                "logged": self.logged if phase == "finished" else (),
                "error": self.error if phase == "failed" else "",
            }
        )

    def enqueue(self, name: SlotName, config: Config, seed: int | None) -> None:
        self.enqueued.append((name, config, seed))
        run = RunRecord(run_id=f"run{next(self._ids)}", name=name, phase="queued", config=config, seed=seed)
        self._runs[run.run_id] = self.records[run.run_id] = run

    def stop(self, run: RunRecord) -> None:
        self.stopped.append(run.run_id)
        self._runs[run.run_id] = run.model_copy(update={"phase": "lost"})

    def read_intake(self) -> Intake:
        return self.intake

    def wait_out(self, error: TrackerError) -> None:  # noqa: ARG002
        self.waits += 1


class MemoryFleet:
    """Workers that are always there; remembers how many waiting and training runs it was told of."""

    def __init__(self, reason: str = "") -> None:
        self.work: list[tuple[int, int]] = []
        self.retired: list[str] = []
        self.exhausted = False
        self.reason = reason

    def adjust(self, waiting: int, training: int, progressed: bool, confirm: Callable[[], bool] = lambda: True) -> None:  # noqa: ARG002
        self.work.append((waiting, training))

    def retire(self, worker_id: str) -> None:
        self.retired.append(worker_id)

    def explain_failure(self, run: RunRecord) -> str:
        return f"{self.reason} of {run.run_id}" if self.reason else ""


def make_sweep(budget: int = 20, **changes: object) -> SweepSettings:
    return make_settings(space=SPACE, budget=budget, metric="score", seed_parameter="seed", **changes)


class QuickSearch(GaussianProcessSearcher):
    """Proposes the middle of the box, for tests of the driver alone."""

    def propose(
        self,
        stage: Literal[2, 3],
        box: SearchSpace,
        evaluations: Sequence[Evaluation],  # noqa: ARG002
        pending: Sequence[Proposal],  # noqa: ARG002
        used: int,
        count: int,
    ) -> list[Proposal]:
        middle = box.from_unit(np.full(len(box.names), 0.5))
        return [Proposal(config=middle)] * min(count, self.problem.budgets[stage - 1] - used)


def make_driver(
    sweep: SweepSettings,
    number: StageNumber,
    tracker: MemoryTracker,
    *,
    search: Callable[[SearchProblem], Searcher] = QuickSearch,
    earlier: Sequence[Evaluation] = (),
    fleet: MemoryFleet | None = None,
    report: Callable[[Slots], None] = lambda _: None,
    **options: Any,
) -> StageDriver:
    plan = plan_sweep(sweep).stages
    problem = SearchProblem(
        space=sweep.space,
        goal=sweep.goal,
        budgets=(plan[0].runs, plan[1].runs, plan[2].runs),
        finalists=plan[2].finalists,
        seed=sweep.seed,
        first=plan[0].defaults or None,
        again=plan[2].defaults or None,
    )
    return StageDriver(
        settings=sweep, stage=plan[number - 1], box=sweep.space, earlier=earlier, search=search(problem),
        tracker=tracker, fleet=fleet or MemoryFleet(), ahead=2, report=report, **options,
    )  # fmt: skip


def find_stage(sweep: SweepSettings, number: StageNumber) -> StagePlan:
    return plan_sweep(sweep).stages[number - 1]


def make_evaluation(index: int) -> Evaluation:
    config: Config = {"lr": 10 ** -(1 + index / 2), "a": 0.1 * index}
    return Evaluation(stage=1, index=index, config=config, outcome="finished", value=judge(config))
