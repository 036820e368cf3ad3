"""Sums a sweep up for its page: a pure function of its state and of what its driver sees."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

from multistage.domain.live.ranges import summarize_parameters
from multistage.domain.live.sight import Sight
from multistage.domain.live.summary import (
    MAX_WORDS,
    Leader,
    LiveSummary,
    Pace,
    RunSummary,
    Spending,
    StageSummary,
)
from multistage.domain.live.waiting import list_waits
from multistage.domain.runs.slots import RunPhase, RunRecord
from multistage.domain.sweep.plan import StagePlan
from multistage.domain.sweep.state import State

PACED = 20
"""Runs that ended last, by which the pace is measured."""
FEWEST = 3
"""Runs that must have ended before anything is said of the pace."""
SETTLED: tuple[RunPhase, ...] = ("finished", "stopped", "failed")
IN_VAIN: tuple[RunPhase, ...] = ("failed", "lost")


def summarize(state: State, sight: Sight, now: datetime) -> LiveSummary:
    """Sum a sweep up for its page.

    Args:
        state: The sweep's.
        sight: What its driver sees.
        now: The time.
    """
    settings, options = state.settings, state.options
    runs = sorted(sight.runs, key=lambda run: (run.name.stage, run.created_at or state.created_at, run.name.index))
    return LiveSummary(
        uid=state.uid,
        name=state.name,
        config_id=state.config_id,
        status=state.status,
        ended_because=state.ended_because,
        metric=settings.metric,
        goal=settings.goal,
        search="W&B's engine" if settings.proposer == "server" else state.plan[-1].method,
        launcher=options.launcher,
        workers=options.workers,
        present=sight.present if state.status == "running" else None,
        budget=state.total_budget,
        used=state.budget_used,
        began=state.created_at.timestamp(),
        told_at=now.timestamp(),
        stages=tuple(_summarize_stage(state, stage, sight) for stage in state.plan),
        parameters=summarize_parameters(state),
        leader=_find_leader(state, runs),
        standing=sight.standing,
        defaults=_list_defaults(state, runs),
        baseline=settings.baseline,
        waits=list_waits(state, sight),
        warnings=sight.warnings,
        spending=_add_up(state, runs, now),
        pace=_measure_pace(state, sight, now),
        resume=sight.resume,
        links=dict(sight.links),
        run_base=sight.run_base,
        runs=tuple(_summarize_run(run, sight) for run in runs),
    )


def end_summary(summary: LiveSummary, state: State, now: datetime) -> LiveSummary:
    """Mark a page's sweep as no longer driven, where nothing observes its runs any more.

    Args:
        summary: The last one.
        state: The sweep's, as it was left.
        now: The time.
    """
    changes = {
        "status": state.status,
        "ended_because": state.ended_because,
        "told_at": now.timestamp(),
        "waits": (),
        "pace": None,
        "present": None,
    }
    return summary.model_copy(update=changes)


def _summarize_run(run: RunRecord, sight: Sight) -> RunSummary:
    why = run.error or sight.reasons.get(run.run_id, "")
    return RunSummary(
        run=run.run_id,
        name=str(run.name),
        stage=run.name.stage,
        phase=run.phase,
        value=_finite(run.value),
        config=run.config,
        seed=run.seed,
        finalist=run.finalist,
        made=_stamp(run.created_at),
        began=_stamp(run.began_at),
        heard=_stamp(run.heartbeat_at),
        rows=run.rows,
        worker=run.worker,
        error=why[:MAX_WORDS] if run.phase in IN_VAIN else "",
        note=run.note[:MAX_WORDS],
        curve=sight.curves.get(run.run_id, ()) if run.phase == "active" else (),
    )


def _summarize_stage(state: State, stage: StagePlan, sight: Sight) -> StageSummary:
    told = StageSummary(
        stage=stage.stage,
        method=stage.method,
        status="to come",
        runs=stage.runs,
        finalists=stage.finalists,
        link=sight.stage_links.get(stage.stage),
    )
    now = state.current_stage
    if now is not None and now.stage == stage.stage:
        return told.model_copy(
            update={
                "status": "running",
                "used": now.used,
                "running": now.running,
                "queued": now.queued,
                "failed": now.failed,
                "lost": now.attempts_lost,
                "best": _finite(now.best_metric),
                "began": now.started_at.timestamp(),
            }
        )
    record = next((one for one in state.stages_completed if one.stage == stage.stage), None)
    if record is None:
        return told
    return told.model_copy(
        update={
            "status": "done",
            "used": record.runs_completed,
            "failed": record.runs_failed,
            "lost": record.attempts_lost,
            "best": _finite(record.best_metric),
            "began": record.started_at.timestamp(),
            "ended": record.ended_at.timestamp(),
            "cut_short": record.cut_short,
        }
    )


def _find_leader(state: State, runs: Sequence[RunRecord]) -> Leader | None:
    sign = 1 if state.goal == "maximize" else -1
    valued = [(value, run) for run in runs if run.phase == "finished" and (value := _finite(run.value)) is not None]
    if not valued:
        return None
    value, best = max(valued, key=lambda one: sign * one[0])
    return Leader(run=best.run_id, value=value, stage=best.name.stage, config=best.config)


def _list_defaults(state: State, runs: Iterable[RunRecord]) -> tuple[float, ...]:
    baseline = state.settings.baseline
    if not baseline:
        return ()
    reached = (_finite(run.value) for run in runs if run.phase == "finished" and run.config == baseline)
    return tuple(value for value in reached if value is not None)


def _add_up(state: State, runs: Iterable[RunRecord], now: datetime) -> Spending:
    trained = in_vain = 0.0
    for run in runs:
        until = now if run.phase == "active" else run.heartbeat_at
        if run.began_at is None or until is None:
            continue
        seconds = max(0.0, (until - run.began_at).total_seconds())
        trained += seconds
        in_vain += seconds if run.phase in IN_VAIN else 0.0
    cost = state.cost
    return Spending(
        trained=trained,
        in_vain=in_vain,
        dollars=cost.dollars if cost else None,
        most=state.options.max_cost,
        source=cost.rates.source if cost else "",
    )


def _measure_pace(state: State, sight: Sight, now: datetime) -> Pace | None:
    """Measure by the runs that ended last while this process drove: a night between two of them is no pace."""
    ends = sorted(
        run.heartbeat_at
        for run in sight.runs
        if run.phase in SETTLED and run.heartbeat_at is not None and run.heartbeat_at >= sight.since
    )[-PACED:]
    left = state.total_budget - state.budget_used
    if len(ends) < FEWEST or state.status != "running" or left <= 0:
        return None
    seconds = max(1.0, (max(now, ends[-1]) - ends[0]).total_seconds())
    pace = (len(ends) - 1) / seconds
    return Pace(runs_an_hour=3600 * pace, seconds_left=left / pace)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _stamp(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
