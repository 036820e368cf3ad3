"""``state.json``: complete, versioned, and never misread."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multistage.domain.sweep.state import StageProgress, State, format_state, parse_state
from multistage.errors import FolderError
from tests.states import make_stage, make_state

GUIDE_KEYS = [
    "config_id", "entity", "project", "params", "metric_name", "total_budget", "budget_used", "stages_completed",
]  # fmt: skip

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
moments = st.datetimes(timezones=st.just(UTC))


@st.composite
def states(draw: st.DrawFn) -> State:
    stages = draw(st.integers(0, 3))
    changes = {
        "best_metric": draw(st.none() | numbers),
        "budget_used": draw(st.integers(0, 10**6)),
        "ended_because": draw(st.none() | names),
        "status": draw(st.sampled_from(["running", "completed", "failed", "stopped"])),
        "best_config": draw(st.none() | st.dictionaries(names, names | numbers | st.booleans() | st.integers())),
        "tracker_url": draw(st.none() | names),
        "created_at": draw(moments),
    }
    return make_state(stages).model_copy(update=changes)


@given(states())
def test_a_state_survives_being_written_and_read(state: State) -> None:
    assert parse_state(format_state(state), "state.json") == state


def test_the_guides_keys_come_first_and_the_schema_has_a_version() -> None:
    raw = json.loads(format_state(make_state(2)))
    assert list(raw)[: len(GUIDE_KEYS)] == GUIDE_KEYS
    assert raw["schema_version"] == 1
    assert raw["params"] == {"lr": [0.0001, 0.01]}
    first = raw["stages_completed"][0]
    assert {"stage", "sweep_id", "runs_completed", "best_metric", "best_config"} <= set(first)


def test_a_run_has_counted_once_any_has_a_value() -> None:
    assert make_state(1).has_counted
    began = make_state(0)
    progress = StageProgress(stage=1, runs=3, started_at=began.created_at)
    assert not began.has_counted
    assert not began.model_copy(update={"current_stage": progress}).has_counted
    valued = progress.model_copy(update={"best_metric": 0.0})
    assert began.model_copy(update={"current_stage": valued}).has_counted


def test_numbers_that_json_has_none_for_become_null() -> None:
    raw = json.loads(format_state(make_state(0).model_copy(update={"best_metric": float("nan")})))
    assert raw["best_metric"] is None


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "NaN", '{"schema_version": 1'])
def test_what_is_no_state_is_named_and_left(text: str) -> None:
    with pytest.raises(FolderError, match=r"runs/x/state\.json") as caught:
        parse_state(text, "runs/x/state.json")
    assert "left as it is" in caught.value.hint


GUIDE: dict[str, Any] = {
    "config_id": "ALE-Pong-v5:objects_ppo", "entity": "myuser", "project": "ALE-Pong-v5",
    "params": {"gae_lambda": [0.8, 0.99], "vf_coef": [0.1, 1.0]}, "metric_name": "train/roll/ep_rew/mean",
    "total_budget": 500, "budget_used": 150,
    "stages_completed": [
        {"stage": 1, "sweep_id": "abc123xyz", "runs_completed": 150, "best_metric": 18.5,
         "best_config": {"gae_lambda": 0.95, "vf_coef": 0.5}, "top_configs": ["..."]},
    ],
}  # fmt: skip
"""The state file of the guide, whose keys keep their names and meaning."""


def test_the_guides_own_file_is_read_and_keeps_all_that_it_says() -> None:
    state = parse_state(json.dumps(GUIDE), "runs/multistage_sweep_ALE-Pong-v5_objects_ppo/state.json")
    again = json.loads(format_state(state))
    for key, value in GUIDE.items():
        if key != "stages_completed":
            assert again[key] == value
    (stage,) = again["stages_completed"]
    (given,) = GUIDE["stages_completed"]
    assert {key: stage[key] for key in given if key != "top_configs"} == {
        key: given[key] for key in given if key != "top_configs"
    }
    assert (state.name, state.status) == ("multistage_sweep_ALE-Pong-v5_objects_ppo", "stopped")
    assert (state.best_metric, state.best_stage, state.schema_version) == (18.5, 1, 1)
    assert [stage.runs for stage in state.plan] == [150, 250, 100]
    assert parse_state(format_state(state), "elsewhere/state.json") == state


def test_the_guides_finished_and_empty_sweeps_are_read_too() -> None:
    done = [{**GUIDE["stages_completed"][0], "stage": number} for number in (1, 2, 3)]
    state = parse_state(json.dumps(GUIDE | {"stages_completed": done}), "x/state.json")
    assert (state.status, len(state.stages_completed)) == ("completed", 3)
    begun = {key: value for key, value in GUIDE.items() if key != "budget_used"} | {"stages_completed": []}
    state = parse_state(json.dumps(begun), "x/state.json")
    assert (state.status, state.budget_used, state.best_metric) == ("stopped", 0, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"params": {"vf_coef": [1.0, 0.1]}}, {"params": {"vf_coef": [1.0]}}, {"params": 3}, {"total_budget": "many"},
        {"stages_completed": [{"stage": 1}]}, {"stages_completed": [{**GUIDE["stages_completed"][0], "stage": 9}]},
    ],
)  # fmt: skip
def test_a_damaged_file_of_the_guide_is_an_error_of_the_user(changes: dict[str, object]) -> None:
    with pytest.raises(FolderError, match=r"x/state\.json"):
        parse_state(json.dumps(GUIDE | changes), "x/state.json")


def test_a_newer_releases_file_asks_for_that_release() -> None:
    raw = json.loads(format_state(make_state(1))) | {"schema_version": 2}
    with pytest.raises(FolderError, match="reads up to 1") as caught:
        parse_state(json.dumps(raw), "state.json")
    assert "update" in caught.value.hint


@pytest.mark.parametrize("version", ["1", None])
def test_another_schema_is_not_guessed_at(version: object) -> None:
    raw = json.loads(format_state(make_state(1))) | {"schema_version": version}
    with pytest.raises(FolderError, match="schema version"):
        parse_state(json.dumps(raw), "state.json")


@pytest.mark.parametrize(
    ("changes", "place"),
    [({"total_budget": "many"}, "total_budget"), ({"plan": []}, "plan"), ({"surprise": 1}, "surprise")],
)
def test_a_damaged_place_is_named(changes: dict[str, object], place: str) -> None:
    raw = json.loads(format_state(make_state(1))) | changes
    with pytest.raises(FolderError, match=f"is damaged at {place}"):
        parse_state(json.dumps(raw), "state.json")


def test_a_sweep_of_thousands_of_runs_has_a_small_state() -> None:
    state = make_state(0).model_copy(update={"stages_completed": tuple(make_stage(n, top=250) for n in (1, 2, 3))})
    assert len(format_state(state)) < 1_000_000


def test_a_state_holds_its_folder_and_moments_exactly() -> None:
    state = make_state(0)
    again = parse_state(format_state(state), "state.json")
    assert again.options.directory == Path("/somewhere")
    assert again.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_retry_of_any_flow_run_that_has_driven_a_sweep_is_known() -> None:
    state = make_state(0).model_copy(update={"flow_runs": ("first",), "flow_run_id": "second"})
    assert [state.was_driven_by(one) for one in ("first", "second", "third")] == [True, True, False]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


def list_places(raw: Any) -> list[tuple[Any, Any]]:
    """Every object and list of a JSON text, with each of its keys."""
    keys = list(raw) if isinstance(raw, dict) else range(len(raw)) if isinstance(raw, list) else ()
    return [pair for key in keys for pair in ((raw, key), *list_places(raw[key]))]


@given(st.data())
def test_whatever_stands_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    raw = json.loads(format_state(make_state(2)))
    if data.draw(st.booleans()):
        raw = {key: raw[key] for key in GUIDE_KEYS}
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(list_places(raw)))
        holder[key] = data.draw(json_values)
    with suppress(FolderError):
        parse_state(json.dumps(raw), "runs/mine/state.json")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"schema_version": ' + "[" * 900 + "]" * 900 + "}", '{"schema_version": []}']
)
def test_a_file_nested_too_deeply_or_of_no_version_is_refused(text: str) -> None:
    with pytest.raises(FolderError):
        parse_state(text, "state.json")
