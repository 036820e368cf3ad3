"""What Prefect is told: Markdown that no name breaks, pictures that are whole documents, progress now and then."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psutil
import pytest
from prefect import flow, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.runtime import flow_run
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from multistage.domain.runs.slots import RunRecord, SlotName, settle_slots
from multistage.domain.space.parameters import CategoricalParameter
from multistage.domain.sweep.state import StageProgress
from multistage.pipeline.tasks import artifacts
from multistage.report.artifacts import (
    describe_plan,
    describe_result,
    describe_stage,
    list_best,
    list_top_configs,
    name_artifact,
    name_tags,
)
from multistage.report.pictures import draw_history_picture, embed_picture
from multistage.services import PrefectServer
from multistage.services.prefect_client import open_prefect_client
from tests.report.sweeps import LR, NOON, make_data, make_run, make_state, make_whole
from tests.states import make_state as make_plain_state

FOLDER = Path("/sweeps/odd")
RUNS = settle_slots(
    RunRecord(run_id=f"r{index}", name=SlotName(stage=1, index=index), phase=phase, config={"lr": 0.1}, value=value)
    for index, (phase, value) in enumerate([("finished", 0.8), ("finished", 0.9), ("failed", None), ("active", 0.95)])
)


def test_a_stage_tells_its_narrowing_with_the_evidence_and_links() -> None:
    state = make_whole().state
    text = describe_stage(state, state.stages_completed[0], FOLDER)
    for note in state.stages_completed[0].narrowing:
        assert f"| **{note.name}** |" in text
        assert note.evidence.split(":")[1].strip()[:20] in text
    assert "http://127.0.0.1:8080/local/p/sweeps/sweep1" in text
    assert "/sweeps/odd/report.html" in text
    assert "The next ranges" not in describe_stage(state, state.stages_completed[2], FOLDER)
    assert "importance" not in text, "an empty column is shown"
    weighed = tuple(note.model_copy(update={"importance": 0.4}) for note in state.stages_completed[0].narrowing)
    stage = state.stages_completed[0].model_copy(update={"narrowing": weighed})
    assert "| 40% |" in describe_stage(state, stage, FOLDER)
    table = list_top_configs(state, state.stages_completed[0])
    assert [row["place"] for row in table] == list(range(1, len(table) + 1))
    assert {"reward", "lr", "noise", "run"} <= set(table[0])


def test_plan_and_result_tell_what_matters() -> None:
    state = make_whole().state
    plan = describe_plan(state, FOLDER)
    assert "**60 runs**" in plan
    assert "| 1 | 18 | sobol |" in plan
    assert "Double-check" not in plan
    warned = describe_plan(state, FOLDER, ["200 <b>runs are few"])
    assert "Double-check" in warned
    assert "runs are few" in warned
    assert " <b>" not in warned
    result = describe_result(state, FOLDER)
    for words in ("**Recommended:**", "97%", "multistage-sweep train /sweeps/odd", "in stage 2", "in 60 of 60 runs"):
        assert words in result
    assert "Nothing is recommended" in describe_result(make_state((LR,)), FOLDER)


def test_names_are_never_markup_in_markdown() -> None:
    act = CategoricalParameter(name="a|b\n<img src=x>", choices=("<script>", "`relu`"))
    state = make_state((act,), metric="<b>|`x`")
    for text in (describe_plan(state, FOLDER), describe_result(state, FOLDER)):
        assert not {"<script>", "<img", "<b>"} & {tag for tag in ("<script>", "<img", "<b>") if f" {tag}" in text}
        rows = [line for line in text.splitlines() if line.startswith("| a")]
        assert all(line.replace("\\|", "").count("|") == 3 for line in rows)


def test_keys_are_what_prefect_takes_and_tags_tell_the_sweep() -> None:
    state = make_plain_state().model_copy(update={"name": "Überlang__Sweep.v1 (2)"})
    assert name_artifact(state, "stage-1") == "berlang-sweep-v1-2-stage-1"
    assert name_tags(state) == ["digits:mlp", f"sweep: {state.name}", "on: local", "search: gaussian process"]


def test_the_history_is_a_picture() -> None:
    svg = draw_history_picture(make_whole())
    assert svg is not None
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    assert len(root.findall("{*}circle")) >= 50
    assert base64.b64decode(embed_picture(svg).partition(",")[2]).decode() == svg
    assert draw_history_picture(make_data((LR,), [])) is None
    ElementTree.fromstring(draw_history_picture(make_data((LR,), [make_run(0, {"lr": 0.1}, 1.0)])) or "")  # noqa: S314


@pytest.fixture
def prefect(prefect_server: PrefectServer) -> Iterator[SyncPrefectClient]:
    with (
        open_prefect_client(prefect_server) as client,
        temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}),
    ):
        yield client


def test_progress_is_one_artifact_that_changes_now_and_then(
    prefect: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    openings: list[object] = []

    def count(**given: Any) -> Any:
        openings.append(given)
        return get_client(**given)

    monkeypatch.setattr(artifacts, "get_client", count)
    state = make_plain_state(tracker_url="http://127.0.0.1:8080").model_copy(update={"name": "progressing"})

    @flow
    def watch() -> None:
        driven = state.model_copy(update={"flow_run_id": str(flow_run.id)})
        note = artifacts.ProgressNote(lambda: driven.model_copy(update={"budget_used": used // 10}))
        for used in range(201):
            note(StageProgress(stage=1, runs=200, used=used, running=2, best_metric=0.5, started_at=NOON), RUNS)

    watch()
    assert len(openings) <= 4, "200 runs within seconds are not 200 requests"
    keys = [f"progressing-{one}" for one in ("stage-1-progress", "progress", "best")]
    found = prefect.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=keys)))
    shown = {one.key: one for one in found}
    assert len(shown) == len(found) == 3, "each is changed, never made again"
    stage, sweep, best = (shown[key] for key in keys)
    page = "[The sweep's page](http://127.0.0.1:8080/local/digits)"
    assert (stage.type, stage.data) == ("progress", 100.0)
    assert stage.description == f"Stage 1: 200 of 200 runs, 2 running, best 0.5. {page}"
    assert (sweep.type, sweep.data) == ("progress", pytest.approx(100 * 20 / 30))
    assert sweep.description == f"20 of 30 runs. {page}"
    assert best.description == f"The best configs so far. {page}"
    assert [row["val/accuracy"] for row in json.loads(str(best.data))] == [0.9, 0.8]


def test_the_best_are_of_all_stages_and_of_runs_that_have_a_value() -> None:
    state = make_whole().state
    values = [row["reward"] for row in list_best(state)]
    assert values == sorted(values, reverse=True)
    assert values[0] == max(row["reward"] for one in state.stages_completed for row in list_top_configs(state, one))
    assert {row["stage"] for row in list_best(state)} <= {1, 2, 3}
    lower = list_best(state.model_copy(update={"goal": "minimize"}))
    assert [row["reward"] for row in lower] == sorted(row["reward"] for row in lower)


def test_a_sweep_goes_on_where_prefect_takes_no_progress(
    prefect: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refuse(**given: object) -> None:
        asked.append(given)
        raise ConnectionError("away")

    monkeypatch.setattr(artifacts, "get_client", refuse)

    @flow
    def watch() -> None:
        note = artifacts.ProgressNote(make_plain_state)
        for used in range(50):
            note(StageProgress(stage=1, runs=200, used=used, running=2, started_at=NOON), RUNS)

    watch()
    assert len(asked) == 1, "it is not asked again at once"


def test_a_stage_does_not_wait_long_for_a_prefect_that_hangs(
    prefect: SyncPrefectClient, prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "PATIENCE", 1.0)
    assert prefect_server.pid is not None
    leader = psutil.Process(prefect_server.pid)
    hung = [leader, *leader.children(recursive=True)]

    @flow
    def watch() -> float:
        note = artifacts.ProgressNote(lambda: make_plain_state().model_copy(update={"flow_run_id": str(flow_run.id)}))
        note(StageProgress(stage=1, runs=200, used=1, running=2, started_at=NOON), RUNS)
        for process in hung:
            process.suspend()
        try:
            begun = time.monotonic()
            note(StageProgress(stage=1, runs=200, used=200, running=0, started_at=NOON), RUNS)
            return time.monotonic() - begun
        finally:
            for process in hung:
                process.resume()

    assert 2 <= watch() < 30
