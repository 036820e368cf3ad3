"""The report: what it shows of ordinary sweeps, and that no odd one breaks it."""

import json
import math
import re
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multistage.domain.runs.results import Config
from multistage.domain.space.parameters import CategoricalParameter, FloatParameter, PowerOfTwoParameter
from multistage.domain.sweep.state import Recommended
from multistage.domain.workers.cost import Cost, Prices, StageCost
from multistage.report.beliefs import measure_influence
from multistage.report.contenders import list_contenders
from multistage.report.data import ReportData
from multistage.report.failures import group_failures
from multistage.report.figures.search import draw_history
from multistage.report.page import build_report
from multistage.report.workload import arrange_workload, list_bills, sum_expenses
from tests.report.sweeps import LR, NOISE, NOON, make_data, make_run, make_runs, make_whole

BAD = "<script>alert(1)</script>\n<img src=x onerror=alert(2)>"


def read_book(page: str) -> dict[str, Any]:
    """What the page's script draws from."""
    found = re.search(r"<script type=application/json id=book>(.*?)</script>", page, flags=re.DOTALL)
    assert found is not None
    book: dict[str, Any] = json.loads(found[1])
    return book


def read_text(page: str) -> str:
    """What a reader sees of the page, figures apart."""
    return re.sub(r"<[^>]*>", " ", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL))


def test_what_mattered_comes_first() -> None:
    influences = measure_influence(make_data((NOISE, LR), make_runs(30)))
    assert [one.name for one in influences] == ["lr", "noise"]
    assert influences[0].share > 0.8 > 0.2 > influences[1].share


def test_few_runs_tell_what_mattered_with_how_unsure_that_is() -> None:
    data = make_data((NOISE, LR), make_runs(9))
    influences = measure_influence(data)
    assert [one.name for one in influences] == ["lr", "noise"]
    for one in influences:
        assert one.interval is not None
        assert 0 <= one.interval[0] <= one.share <= one.interval[1] <= 1
    assert sum(one.share for one in influences) == pytest.approx(1)
    page = build_report(data)
    assert "as far as so few runs tell" in page
    assert re.search(r"\d+% \(\d+ to \d+%\)", page)


def test_the_top_claims_no_influence_that_chance_shows_too() -> None:
    found = build_report(make_data((NOISE, LR), make_runs(30))).split("What mattered?")[1].split("</div>")[0]
    assert found.count("class='bar'") == found.count("pale") == 1
    assert "Hard to tell" not in found
    values = np.random.default_rng(0).random(30)
    noise = [run.model_copy(update={"value": float(value)}) for run, value in zip(make_runs(30), values, strict=True)]
    found = build_report(make_data((NOISE, LR), noise)).split("What mattered?")[1].split("</div>")[0]
    assert "Hard to tell" in found
    assert found.count("pale") == 2


def test_a_whole_sweep_shows_every_figure_and_asks_nobody() -> None:
    page = build_report(make_whole())
    figures = set(read_book(page)["figures"])
    assert figures == {
        "history-plot", "contenders-plot", "funnel-0", "funnel-1", "influences-plot", "slice-0", "slice-1",
        "contour-plot", "configs-plot", "curves-plot", "timeline-plot", "expenses-plot",
    }  # fmt: skip
    assert figures == set(re.findall(r"<div class=plot id=([\w-]+)", page))
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"<(?:img|iframe|script|link)[^>]*(?:src|href)=(?!['\"]?data:)", markup)
    assert "default-src 'none'" in page


def test_the_top_answers_the_six_questions() -> None:
    data = make_whole()
    told = read_text(build_report(data).split("<section id=history")[0])
    assert data.state.recommended is not None
    failed = sum(run.phase == "failed" for run in data.runs)
    for words in (
        "ValueError: loss was nan", f"{data.state.recommended.mean:.5g}", "97% likely", "60 runs", "of training within",
        f"{failed} failed, 1 lost", "multistage-sweep train /sweeps/odd", "lr: ",
    ):  # fmt: skip
        assert words in told, words


def test_the_ranges_tell_their_evidence_and_mark_edges() -> None:
    data = make_whole()
    page = build_report(data)
    notes = [note for record in data.state.stages_completed for note in record.narrowing]
    assert len(notes) == 4
    assert all(note.evidence in read_text(page) for note in notes)
    funnel = read_book(page)["figures"]["funnel-0"]
    assert [trace["y"][0] for trace in funnel["data"] if "lines" in trace["mode"]] == ["stage 1", "stage 2", "stage 3"]
    assert funnel["layout"]["xaxis"]["type"] == "log"
    pushed = make_data((LR,), [])
    record = data.state.stages_completed[0]
    edge = record.narrowing[0].model_copy(update={"edge": "high"})
    record = record.model_copy(update={"narrowing": (edge,), "bounds": {"lr": [1e-5, 1e-1]}, "next_space": None})
    state = pushed.state.model_copy(update={"stages_completed": (record,)})
    marks = read_book(build_report(pushed.model_copy(update={"state": state})))["figures"]["funnel-0"]["data"]
    assert marks[-1]["marker"].get("symbol") == "triangle-right"


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_runs_are_said_to_be_few(count: int) -> None:
    page = build_report(make_data((LR, NOISE), make_runs(count)))
    assert "Too few runs to say" in page
    assert ("No run has a value yet" in page) == (count == 0)


def test_text_of_runs_is_never_markup() -> None:
    choices = CategoricalParameter(name="act\n<u>", choices=(BAD, "relu"))
    runs = [make_run(index, {"act\n<u>": BAD if index % 2 else "relu"}, float(index), worker=BAD) for index in range(9)]
    runs.append(make_run(9, {"act\n<u>": "relu"}, None, "failed", BAD))
    best = Recommended(config={"act\n<u>": BAD}, mean=1, interval=(0, 2), seeds=1)
    changes = {"name": BAD, "recommended": best, "ended_because": BAD, "prefect_url": "javascript:alert(3)"}
    page = build_report(make_data((choices,), runs, metric="<img src=x>", **changes))
    markup = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    for bad in ("<script>alert", "<img src=x", "<u>", "javascript:"):
        assert bad not in markup
    assert "&lt;img src=x onerror" in page
    labels = json.dumps(read_book(page))
    assert "<script" not in labels
    assert "<img" not in labels
    assert "<u>" not in labels


def test_a_sweep_without_any_value_opens_and_says_so() -> None:
    failed = [make_run(index, {"lr": 0.1}, None, "failed", f"cause {'ab'[index % 2]} at {index}") for index in range(4)]
    page = build_report(make_data((LR,), failed, status="failed"))
    assert "No run has finished with a value" in page
    assert "4 failed" in page
    assert [len(one.runs) for one in group_failures(make_data((LR,), failed))] == [2, 2]


def test_odd_sweeps_open() -> None:
    infinite = [make_run(index, {"lr": 0.1}, value) for index, value in enumerate([math.nan, math.inf, 1.0])]
    assert "history-plot" in read_book(build_report(make_data((LR,), infinite)))["figures"]
    many = tuple(FloatParameter(name=f"p{number}", low=0, high=1) for number in range(20))
    wide = [make_run(index, {one.name: index / 50 for one in many}, float(index)) for index in range(45)]
    assert {"slice-19", "funnel-19"} <= set(read_book(build_report(make_data(many, wide)))["figures"])
    choices = (
        CategoricalParameter(name="act", choices=("relu", "tanh")),
        CategoricalParameter(name="on", choices=(True, False)),
    )
    mixed = [make_run(n, {"act": ("relu", "tanh")[n % 2], "on": n % 3 == 0}, float(n % 2)) for n in range(12)]
    assert "contour-plot" in read_book(build_report(make_data(choices, mixed)))["figures"]
    same = [make_run(index, {"lr": 0.01}, 1.0) for index in range(8)]
    assert "slice-0" in read_book(build_report(make_data((LR,), same)))["figures"]


def test_defaults_outside_the_ranges_are_shown_among_the_finalists() -> None:
    size = PowerOfTwoParameter(name="size", low=8, high=64)
    act = CategoricalParameter(name="act", choices=("relu", "tanh"))
    data = make_data((size, act), [
        *(make_run(n, {"size": 16, "act": "relu"}, n / 10) for n in range(7)),
        make_run(7, {"size": 128, "act": "gelu"}, 5.0, finalist=True),
    ])  # fmt: skip
    settings = data.state.settings.model_copy(update={"baseline": {"size": 128, "act": "gelu"}})
    data = data.model_copy(update={"state": data.state.model_copy(update={"settings": settings})})
    assert [one.role for one in list_contenders(data)] == ["defaults", "contender"]
    assert data.center == {"size": 16, "act": "relu"}
    assert "gelu" in read_text(build_report(data))


def test_the_same_data_make_the_same_page() -> None:
    data = make_whole(budget=30)
    assert build_report(data) == build_report(ReportData.model_validate_json(data.model_dump_json()))


def test_poor_outliers_do_not_squash_the_figure() -> None:
    runs = [make_run(index, {"lr": 0.1}, -1e6 if index == 3 else index / 10) for index in range(20)]
    figure = draw_history(make_data((LR,), runs))
    assert figure is not None
    assert min(min(trace.y) for trace in figure.data) > -2
    assert figure.data[0].marker.symbol[3] == "triangle-down-open"


def test_workers_of_later_stages_take_over_lanes_and_gaps_are_idle() -> None:
    work = arrange_workload(make_whole())
    assert len(work.lanes) == 2
    assert work.in_vain > 0
    assert 0 < work.idle < work.trained
    overlapping = arrange_workload(make_data((LR,), make_runs(6)))
    assert [sum(len(span.runs) for span in lane.spans) for lane in overlapping.lanes] == [3, 3]
    assert (overlapping.starting, overlapping.idle) == (0, 2 * 2 * 5), "each lane waits twice for 5 s"


def test_a_sweep_that_stopped_runs_says_what_it_cost_in_whole_ones() -> None:
    runs = make_runs(6)
    assert "runs of full length" not in build_report(make_data((LR, NOISE), runs))
    short = runs[5].began_at
    assert short is not None
    runs[5] = runs[5].model_copy(update={"phase": "stopped", "heartbeat_at": short + timedelta(seconds=1)})
    assert "As much as 5 runs of full length." in build_report(make_data((LR, NOISE), runs))


def test_a_worker_that_waits_longer_than_a_run_takes_to_start_is_idle() -> None:
    runs = [
        make_run(
            index,
            {"lr": 0.1},
            1.0,
            began_at=NOON + timedelta(seconds=began),
            heartbeat_at=NOON + timedelta(seconds=began + 10),
        )
        for index, began in enumerate((0, 15, 30, 45, 160))
    ]
    work = arrange_workload(make_data((LR,), [run.model_copy(update={"worker": "w"}) for run in runs]))
    assert (work.trained, work.starting, work.idle) == (50, 4 * 5, 105 - 5)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(2, 300)), min_size=1, max_size=40))
def test_as_few_lanes_as_runs_at_once(times: list[tuple[int, int]]) -> None:
    spans = [(NOON + timedelta(seconds=began), NOON + timedelta(seconds=began + took)) for began, took in times]
    runs = [
        make_run(index, {"lr": 0.1}, 1.0, began_at=began, heartbeat_at=ended)
        for index, (began, ended) in enumerate(spans)
    ]
    slack = timedelta(seconds=1)
    at_once = max(sum(began <= moment < ended - slack for began, ended in spans) for moment, _ in spans)
    lanes = arrange_workload(make_data((LR,), runs)).lanes
    assert len(lanes) == at_once
    assert sum(len(span.runs) for lane in lanes for span in lane.spans) == len(runs)
    for lane in lanes:
        assert all(after.began_at >= before.ended_at - slack for before, after in pairwise(lane.spans))


def test_money_is_shown_where_there_is_a_cost() -> None:
    data = make_whole()
    stages = tuple(StageCost(sweep=f"local/p/sweep{n}", seconds=100, dollars=0.5) for n in (1, 2, 3))
    paid = data.model_copy(
        update={
            "state": data.state.model_copy(
                update={"cost": Cost(rates=Prices(source="a list"), stages=stages, dollars=1.5)}
            )
        }
    )
    assert [round(one.dollars, 2) for one in list_bills(paid)] == [0.5, 1.0, 1.5]
    assert (sum_expenses(paid)[-1].dollars or 0) > 0
    page = build_report(paid)
    assert "Cost over time" in page
    assert "$1.50" in page
    assert "Cost over time" not in build_report(data)
    assert sum_expenses(data)[-1].dollars is None


def test_defaults_that_were_trained_twice_without_a_race_are_no_finalists() -> None:
    size = PowerOfTwoParameter(name="size", low=8, high=64)
    act = CategoricalParameter(name="act", choices=("relu", "tanh"))
    usual: Config = {"size": 128, "act": "gelu"}
    configs: list[Config] = [usual, *({"size": 8 << n % 4, "act": act.choices[n // 4]} for n in range(8)), usual]
    data = make_data((size, act), [make_run(n, config, n / 10) for n, config in enumerate(configs)])
    settings = data.state.settings.model_copy(update={"baseline": usual})
    data = data.model_copy(update={"state": data.state.model_copy(update={"settings": settings})})
    assert list_contenders(data) == []
    assert "No contender was trained again." in read_text(build_report(data))


def test_a_steady_contender_has_a_narrower_interval_than_a_shaky_one() -> None:
    values = {0.01: [4.9, 5.0, 5.1, 5.0, 4.9, 5.1], 0.02: [1.0, 3.0, 5.0, 1.0, 3.0, 5.0]}
    pairs = [(lr, value) for lr, own in values.items() for value in own]
    runs = [make_run(index, {"lr": lr, "noise": 0.5}, value) for index, (lr, value) in enumerate(pairs)]
    steady, shaky = (one.interval for one in list_contenders(make_data((LR, NOISE), runs)))
    assert steady is not None
    assert shaky is not None
    assert steady[1] - steady[0] < 0.8 * (shaky[1] - shaky[0])


def test_contenders_have_the_interval_of_their_pooled_noise() -> None:
    config: Config = {"lr": 0.01, "noise": 0.5}
    runs = [make_run(index, config, value) for index, value in enumerate([1.0, 2.0, 3.0])]
    (only,) = list_contenders(make_data((LR, NOISE), runs))
    assert only.mean == pytest.approx(2)
    assert only.interval == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-3)
    other: Config = {"lr": 0.02, "noise": 0.5}
    more = [*runs, *(make_run(index, other, value) for index, value in enumerate([5.0, 5.0], start=3))]
    best, _ = list_contenders(make_data((LR, NOISE), more))
    half = 3.1824 * math.sqrt(2 / 3 / 2)
    assert best.interval == pytest.approx((5 - half, 5 + half), abs=1e-3)


def test_a_running_sweep_shows_what_is_known() -> None:
    whole = make_whole()
    state = whole.state.model_copy(
        update={"stages_completed": whole.state.stages_completed[:1], "recommended": None, "status": "running",
                "budget_used": 18}
    )  # fmt: skip
    data = whole.model_copy(
        update={"state": state, "runs": tuple(r for r in whole.runs if r.name.stage == 1), "curves": ()}
    )
    page = build_report(data)
    assert "The best config so far" in page
    funnel = read_book(page)["figures"]["funnel-0"]["data"]
    assert "stage 2" in [trace["y"][0] for trace in funnel], "the next stage's range is known"
    assert data.written_at > NOON
