"""The report: what it shows of ordinary sweeps, and that no odd one breaks it."""

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from multistage.domain.budget import Split
from multistage.domain.parameters import CategoricalParameter, FloatParameter, Parameter
from multistage.domain.plan import RunOptions, SweepSettings, plan_sweep
from multistage.domain.request import SweepRequest
from multistage.domain.results import Config
from multistage.domain.slots import RunPhase, RunRecord, SlotName
from multistage.domain.space import SearchSpace
from multistage.domain.state import State
from multistage.report.data import ReportData, ReportRun, arrange_lanes, list_contenders, measure_influence
from multistage.report.page import build_report

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LR = FloatParameter(name="lr", low=1e-5, high=1e-1, scale="log")
NOISE = FloatParameter(name="noise", low=0, high=1)


def make_data(parameters: tuple[Parameter, ...], runs: list[ReportRun], metric: str = "reward") -> ReportData:
    space = SearchSpace(parameters=parameters)
    settings = SweepSettings(
        config_id="<b>my</b>:v1", space=space, metric=metric, budget=60, split=Split(), entity="local", project="p"
    )
    state = State(
        config_id=settings.config_id, entity="local", project="p", params=space.bounds, metric_name=metric,
        total_budget=60, name="odd", uid="u", goal="maximize", plan=plan_sweep(settings).stages,
        request=SweepRequest(config_id=settings.config_id, params="lr"), settings=settings,
        options=RunOptions(workers=2, directory=Path("/")), created_at=NOON, updated_at=NOON,
    )  # fmt: skip
    return ReportData(state=state, runs=tuple(runs), written_at=NOON)


def make_run(
    index: int, config: Config, value: float | None, phase: RunPhase = "finished", error: str = "", stage: int = 1
) -> ReportRun:
    record = RunRecord(
        run_id=f"run{index}", name=SlotName(stage=stage, index=index), phase=phase, config=config, value=value,
        error=error,
    )  # fmt: skip
    start = NOON + timedelta(seconds=10 * index)
    return ReportRun(record=record, started_at=start, ended_at=start + timedelta(seconds=15))


def make_runs(count: int) -> list[ReportRun]:
    """Runs whose value depends on the learning rate alone."""
    return [
        make_run(index, {"lr": LR.from_unit(place), "noise": (index * 7 % 10) / 10}, -((place - 0.7) ** 2))
        for index in range(count)
        for place in [index / max(1, count - 1)]
    ]


def test_what_mattered_comes_first() -> None:
    influences = measure_influence(make_data((NOISE, LR), make_runs(30)))
    assert [one.name for one in influences] == ["lr", "noise"]
    assert influences[0].share > 0.8 > 0.2 > influences[1].share


def test_an_ordinary_sweep_shows_every_figure_and_asks_nobody() -> None:
    page = build_report(make_data((LR, NOISE), [*make_runs(20), make_run(20, {"lr": 0.01, "noise": 0.1}, -0.1),
                                                make_run(21, {"lr": 0.01, "noise": 0.1}, -0.2)]))  # fmt: skip
    shown = set(re.findall(r'<div id="(\w+)" class="plotly-graph-div"', page))
    assert shown == {"history", "influences", "slices", "contour", "parallel", "contenders", "timeline", "hours"}
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"(?:src|href)=(?!['\"]?data:)", markup)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_runs_are_said_to_be_few(count: int) -> None:
    page = build_report(make_data((LR, NOISE), make_runs(count)))
    assert "Too few runs to tell" in page
    assert ("No run has a value yet" in page) == (count == 0)


def test_text_of_runs_is_never_markup() -> None:
    bad = "<script>alert(1)</script>\n<img src=x onerror=alert(2)>"
    choices = CategoricalParameter(name="act", choices=(bad, "relu"))
    runs = [make_run(0, {"act": bad}, 1.0), make_run(1, {"act": "relu"}, None, "failed", bad)]
    page = build_report(make_data((choices,), runs, metric="<img src=x>"))
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror" in page


def test_odd_sweeps_open() -> None:
    failed = [make_run(index, {"lr": 0.1}, None, "failed", f"cause {index % 2}") for index in range(4)]
    page = build_report(make_data((LR,), failed))
    assert "cause 0" in page
    assert "so there is none" in page
    infinite = [make_run(index, {"lr": 0.1}, value) for index, value in enumerate([math.nan, math.inf, 1.0])]
    assert "history" in build_report(make_data((LR,), infinite))
    many = tuple(FloatParameter(name=f"p{number}", low=0, high=1) for number in range(20))
    wide = [make_run(index, {one.name: index / 50 for one in many}, float(index)) for index in range(45)]
    assert "influences" in build_report(make_data(many, wide))


def test_the_same_data_make_the_same_page() -> None:
    data = make_data((LR, NOISE), make_runs(12))
    assert build_report(data) == build_report(ReportData.model_validate_json(data.model_dump_json()))


def test_runs_that_overlap_take_two_lanes() -> None:
    lanes = arrange_lanes(make_runs(6))
    assert [lane.name for lane in lanes] == ["lane 1", "lane 2"]
    assert [len(lane.runs) for lane in lanes] == [3, 3]


def test_contenders_have_the_interval_of_their_seeds() -> None:
    config: Config = {"lr": 0.01, "noise": 0.5}
    runs = [make_run(index, config, value) for index, value in enumerate([1.0, 2.0, 3.0])]
    (only,) = list_contenders(make_data((LR, NOISE), runs))
    assert only.mean == pytest.approx(2)
    assert only.interval == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-3)
