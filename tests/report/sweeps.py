"""Made sweeps, for tests and the benchmark of the report."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from multistage.domain.runs.results import Config
from multistage.domain.runs.selection import select_top
from multistage.domain.runs.slots import RunPhase, RunRecord, SlotName, settle_slots
from multistage.domain.space.narrowing import narrow
from multistage.domain.space.parameters import FloatParameter, Parameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.budget import Split
from multistage.domain.sweep.plan import STAGES, RunOptions, SweepSettings, plan_sweep
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.sweep.state import Recommended, StageRecord, State, TopConfig
from multistage.report.data import Curve, ReportData
from multistage.search.sobol import sample_sobol

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LR = FloatParameter(name="lr", low=1e-5, high=1e-1, scale="log")
NOISE = FloatParameter(name="noise", low=0, high=1)


def make_state(parameters: Sequence[Parameter], metric: str = "reward", budget: int = 60, **changes: Any) -> State:
    """The state of a sweep that has just begun."""
    space = SearchSpace(parameters=tuple(parameters))
    settings = SweepSettings(
        config_id="<b>my</b>:v1", space=space, metric=metric, budget=budget, split=Split(), entity="local", project="p"
    )
    state = State(
        config_id=settings.config_id, entity="local", project="p", params=space.bounds, metric_name=metric,
        total_budget=budget, name="odd", uid="u", goal="maximize", plan=plan_sweep(settings).stages,
        request=SweepRequest(config_id=settings.config_id, params="lr"), settings=settings,
        options=RunOptions(workers=2, directory=Path("/")), created_at=NOON, updated_at=NOON,
        tracker_url="http://127.0.0.1:8080", prefect_url="http://127.0.0.1:4200/flow-runs/flow-run/1",
    )  # fmt: skip
    return state.model_copy(update=changes)


def make_data(
    parameters: Sequence[Parameter], runs: Iterable[RunRecord], metric: str = "reward", **changes: Any
) -> ReportData:
    """A sweep's runs, no stage of it complete."""
    return ReportData(state=make_state(parameters, metric, **changes), runs=tuple(runs), written_at=NOON)


def make_run(
    index: int,
    config: Config,
    value: float | None,
    phase: RunPhase = "finished",
    error: str = "",
    stage: int = 1,
    **fields: Any,
) -> RunRecord:
    """A run of 15 s; the next one begins 10 s later."""
    start = NOON + timedelta(seconds=10 * index)
    given = {
        "run_id": f"run{stage}x{index}", "name": SlotName(stage=stage, index=index), "phase": phase, "config": config,
        "value": value, "error": error, "began_at": start, "heartbeat_at": start + timedelta(seconds=15),
    }  # fmt: skip
    return RunRecord(**given | fields)


def make_runs(count: int) -> list[RunRecord]:
    """Runs whose value depends on the learning rate alone."""
    return [
        make_run(index, {"lr": LR.from_unit(place), "noise": (index * 7 % 10) / 10}, -((place - 0.7) ** 2))
        for index in range(count)
        for place in [index / max(1, count - 1)]
    ]


def make_whole(parameters: Sequence[Parameter] = (LR, NOISE), budget: int = 60, rows: int = 20) -> ReportData:
    """A sweep that went through all stages on two workers: some runs failed, one was lost, four were finalists.

    A run is the better the nearer its parameters lie to 0.7 of their first ranges, the first ones most.
    """
    state = make_state(parameters, budget=budget)
    rng, runs, records = np.random.default_rng(0), list[RunRecord](), list[StageRecord]()
    box, clock = state.settings.space, [NOON, NOON]
    for stage in STAGES:
        planned = state.plan[stage - 1].runs
        configs = sample_sobol(box, planned, seed=stage)
        clock = [max(clock) + timedelta(seconds=40)] * 2
        if stage == 3:
            configs[-4:] = [records[1].top_configs[number].config for number in (0, 0, 1, 1)]
        for index, config in enumerate(configs):
            worker = int(np.argmin([moment.timestamp() for moment in clock]))
            seconds = float(rng.uniform(60, 120))
            error = f"ValueError: loss was nan at step {index}" if rng.random() < 0.06 else ""
            value = 100 - sum(
                40 / (place + 1) * (one.to_unit(config[one.name]) - 0.7) ** 2
                for place, one in enumerate(state.settings.space.parameters)
            )
            one = make_run(
                index, config, None if error else float(value + rng.normal(0, 1)), "failed" if error else "finished",
                error, stage, began_at=clock[worker], heartbeat_at=clock[worker] + timedelta(seconds=seconds),
                worker=f"w{stage}-{worker}", finalist=stage == 3 and index >= planned - 4, rows=rows,
            )  # fmt: skip
            if stage == 2 and index == 3:
                runs.append(
                    one.model_copy(update={"phase": "lost", "run_id": "gone", "error": "the worker was killed"})
                )
                clock[worker] = clock[worker] + timedelta(seconds=seconds)
                one = one.model_copy(
                    update={
                        "name": SlotName(stage=2, index=3, attempt=1),
                        "began_at": clock[worker],
                        "heartbeat_at": clock[worker] + timedelta(seconds=seconds),
                    }
                )
            runs.append(one)
            clock[worker] += timedelta(seconds=seconds + 1)
        slots = settle_slots(run for run in runs if run.name.stage == stage)
        top = select_top(slots.list_evaluations(), "maximize")
        narrowing = narrow(state.settings.space, box, top, 2 if stage == 1 else 1) if stage < 3 else None
        records.append(
            StageRecord(
                stage=stage,
                sweep_id=f"sweep{stage}",
                runs_completed=planned,
                best_metric=top[0].value,
                best_config=top[0].config,
                best_run=top[0].run_id,
                method="sobol",
                bounds=box.bounds,
                top_configs=tuple(TopConfig(config=o.config, value=o.value or 0, run_id=o.run_id) for o in top),
                narrowing=narrowing.notes if narrowing else (),
                next_space=narrowing.space if narrowing else None,
                started_at=NOON,
                ended_at=max(clock),
            )
        )
        box = narrowing.space if narrowing else box
    best = records[1].top_configs[0]
    state = state.model_copy(
        update={
            "stages_completed": tuple(records), "status": "completed", "ended_because": "budget used",
            "budget_used": budget, "best_metric": best.value, "best_stage": 2, "best_config": best.config,
            "best_run": best.run_id,
            "recommended": Recommended(config=best.config, mean=best.value - 1, seeds=3,
                                       interval=(best.value - 2, best.value), probability_better_than_defaults=0.97),
        }
    )  # fmt: skip
    curves = tuple(
        Curve(run_id=run.run_id, steps=tuple(range(rows)),
              values=tuple((run.value or 0) * (1 - 0.5 ** (step / 3)) for step in range(rows)))
        for run in [run for run in runs if run.phase == "finished"][-20:]
    )  # fmt: skip
    return ReportData(
        state=state, runs=tuple(runs), curves=curves, folder=Path("/sweeps/odd"), written_at=NOON + timedelta(days=1)
    )
