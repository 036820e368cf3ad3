"""What is proposed to a person between two stages, and what they may make of it."""

from datetime import UTC, datetime

import pytest

from multistage.domain.space.grammar import format_range, parse_params
from multistage.domain.space.narrowing import ParameterNarrowing
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.approval_form import approve, describe_proposal, find_proposal, name_fields, read_ranges
from multistage.domain.sweep.state import StageProgress, StageRecord, State
from multistage.errors import SpaceError
from tests.states import BEGAN, make_stage, make_state

FIRST = parse_params("lr:log:1e-5-1e-1,n:int:1-9,b:pow2:8-64,act:[relu|tanh|elu]", {})
PROPOSED = parse_params("lr:log:1e-3-1e-2,n:int:2-4,b:pow2:16-32,act:[relu|tanh]", {})
NOON = datetime(2026, 1, 2, tzinfo=UTC)


def finish(**changes: object) -> StageRecord:
    note = ParameterNarrowing(name="lr", before=(1e-5, 0.1), after=(1e-3, 1e-2), evidence="lr goes down.")
    return make_stage(1).model_copy(update={"next_space": PROPOSED, "narrowing": (note,), **changes})


def begin(*records: StageRecord, approved: bool = True, **changes: object) -> State:
    state = make_state(0, stages_completed=records, **changes)
    return state.model_copy(update={"options": state.options.model_copy(update={"approve": approved})})


def test_a_proposal_waits_only_where_it_was_asked_for_and_the_next_stage_has_not_begun() -> None:
    record = finish()
    assert find_proposal(begin(record), 2) == record
    assert find_proposal(begin(record, approved=False), 2) is None
    assert find_proposal(begin(), 1) is None
    assert find_proposal(begin(record), 3) is None
    assert find_proposal(begin(record, make_stage(2)), 2) is None
    assert find_proposal(begin(approve(record, PROPOSED, "person", NOON)), 2) is None
    running = StageProgress(stage=2, runs=9, started_at=BEGAN)
    assert find_proposal(begin(record, current_stage=running), 2) is None


def test_what_is_left_alone_stays_and_what_is_changed_is_searched() -> None:
    texts = {one.name: format_range(one) for one in PROPOSED.parameters}
    assert read_ranges(texts, PROPOSED, FIRST) == PROPOSED
    assert read_ranges({}, PROPOSED, FIRST) == PROPOSED
    changed = read_ranges({"lr": " 1e-4 - 5e-2 ", "n": "1-9", "b": "8-64", "act": "[elu]"}, PROPOSED, FIRST)
    assert changed == parse_params("lr:log:1e-4-5e-2,n:int:1-9,b:pow2:8-64,act:[elu]", {})


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("lr", "x", "where a range should be"),
        ("lr", "1e-6-1e-2", "1e-06, which is beyond its 1e-05-0.1 of the whole sweep"),
        ("lr", "linear:1e-4-1e-2", "searched in another way"),
        ("lr", "[1|2]", "searched in another way"),
        ("lr", "1e-4-1e-2,n:1-2", "searched in another way"),
        ("n", "0-4", "0, which is beyond"),
        ("n", "1.5-4", "whole numbers"),
        ("b", "10-60", "searched in another way"),
        ("act", "[gelu]", "gelu, which is beyond"),
        ("nope", "1-2", "nope is not swept"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        read_ranges({name: text}, PROPOSED, FIRST)


def test_a_step_is_kept() -> None:
    first = PROPOSED["lr"].model_copy(update={"low": 0.0, "high": 1.0, "step": 0.1, "scale": "linear"})
    space = SearchSpace(parameters=(first,))
    (changed,) = read_ranges({"lr": "0.2-0.4"}, space, space).parameters
    assert changed == first.model_copy(update={"low": 0.2, "high": 0.4})


def test_who_approved_what_is_noted() -> None:
    changed = read_ranges({"lr": "1e-4-5e-2"}, PROPOSED, FIRST)
    record = approve(finish(), changed, "person", NOON)
    assert record.approval is not None
    assert (record.approval.by, record.approval.edited, record.approval.at) == ("person", ("lr",), NOON)
    assert record.next_space == changed
    (note,) = record.narrowing
    assert note.after == (1e-4, 5e-2)
    assert note.evidence == "lr goes down. A person made it 0.0001-0.05."
    untouched = approve(finish(), PROPOSED, "timeout", NOON)
    assert untouched.narrowing == finish().narrowing
    assert StageRecord.model_validate_json(record.model_dump_json()) == record


def test_the_question_says_what_happened_and_what_was_wrong_with_the_last_answer() -> None:
    text = describe_proposal(finish())
    assert "Stage 1 is done: 9 runs, best 0.9." in text
    assert "- lr goes down." in text
    assert "what stage 2 would search" in text
    assert describe_proposal(finish(best_metric=None), "no").startswith("**That does not work: no**")


def test_every_parameter_has_a_field_of_its_own() -> None:
    space = parse_params("a/lr:0-1,a.lr:0-1,_x:0-1,go_on:0-1", {})
    assert name_fields(space) == {
        "a/lr": "a_lr_range", "a.lr": "a_lr_1_range", "_x": "x_range", "go_on": "go_on_range",
    }  # fmt: skip
