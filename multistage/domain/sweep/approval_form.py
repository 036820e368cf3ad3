"""A person between two stages: what is proposed to them, and what they make of it."""

import re
from collections.abc import Mapping
from datetime import datetime

from multistage.domain.space.grammar import format_range, parse_params
from multistage.domain.space.parameters import CategoricalParameter, Parameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import StageNumber
from multistage.domain.sweep.state import Approval, StageRecord, State
from multistage.errors import SpaceError

GO_ON = "go_on"
"""The form's switch, which ends the sweep when it is off."""


def find_proposal(state: State, number: StageNumber) -> StageRecord | None:
    """Find the finished stage whose proposal for the next one waits for a person; None where nothing waits.

    A stage that has begun is not asked for again: its runs have the ranges that it began with.

    Args:
        state: The sweep.
        number: The stage that would come next.
    """
    begun = {record.stage for record in state.stages_completed}
    if state.current_stage is not None:
        begun.add(state.current_stage.stage)
    if not state.options.approve or number in begun:
        return None
    before = (record for record in state.stages_completed if record.stage == number - 1)
    return next((record for record in before if record.next_space is not None and record.approval is None), None)


def name_fields(space: SearchSpace) -> dict[str, str]:
    """Name the form's field of each parameter: a form takes no name such as ``optimizer/lr``."""
    fields: dict[str, str] = {}
    for name in space.names:
        plain = re.sub(r"\W", "_", name).lstrip("_")
        field = f"{plain}_range"
        fields[name] = field if field not in fields.values() else f"{plain}_{len(fields)}_range"
    return fields


def read_ranges(texts: Mapping[str, str], proposed: SearchSpace, first: SearchSpace) -> SearchSpace:
    """Read the ranges that a person left in the form.

    Args:
        texts: By parameter, in the words of ``--params`` without the name; one that is missing stays as proposed.
        proposed: The ranges that were proposed.
        first: Those of the whole sweep, which are never left.

    Raises:
        SpaceError: One of them is not a range, of another kind, or beyond the sweep's own bounds.
    """
    unknown = sorted(set(texts) - set(proposed.names))
    if unknown:
        raise SpaceError(f"{unknown[0]} is not swept.", f"There are {', '.join(proposed.names)}.")
    ranges = [
        _read_range(parameter, texts.get(parameter.name, ""), first[parameter.name])
        for parameter in proposed.parameters
    ]
    return SearchSpace(parameters=tuple(ranges))


def _read_range(proposed: Parameter, text: str, first: Parameter) -> Parameter:
    name = proposed.name
    if text.strip() in ("", format_range(proposed)):
        return proposed
    read, *rest = parse_params(f"{name}:{text}", {name: proposed}).parameters
    same_scale = getattr(read, "scale", None) == getattr(proposed, "scale", None)
    if rest or type(read) is not type(proposed) or not same_scale:
        raise SpaceError(
            f"{name} would be searched in another way by {text!r}.", f"Write as in {format_range(proposed)}."
        )
    beyond = [value for value in read.bounds if not first.contains(value)]
    if beyond:
        raise SpaceError(
            f"{name} would have {beyond[0]}, which is beyond its {format_range(first)} of the whole sweep.",
            "Another sweep with wider --params can try it.",
        )
    if isinstance(read, CategoricalParameter) or isinstance(proposed, CategoricalParameter):
        return read
    return type(proposed).model_validate(proposed.model_dump() | {"low": read.low, "high": read.high})


def approve(record: StageRecord, space: SearchSpace, by: str, at: datetime) -> StageRecord:
    """Note in a finished stage what the next one will search, and who said so.

    Args:
        record: The stage.
        space: The next stage's ranges.
        by: ``person`` or ``timeout``.
        at: When.
    """
    proposed = record.next_space or space
    edited = [parameter.name for parameter in space.parameters if parameter != proposed[parameter.name]]
    notes = [
        note.model_copy(
            update={
                "after": tuple(space[note.name].bounds),
                "evidence": f"{note.evidence} A person made it {format_range(space[note.name])}.",
            }
        )
        if note.name in edited
        else note
        for note in record.narrowing
    ]
    approval = Approval.model_validate({"by": by, "edited": edited, "at": at})
    return record.model_copy(update={"next_space": space, "narrowing": tuple(notes), "approval": approval})


def describe_proposal(record: StageRecord, problem: str = "") -> str:
    """Write what a person is asked, as Markdown.

    Args:
        record: The finished stage.
        problem: What was wrong with the last answer; empty where there was none.
    """
    best = "none" if record.best_metric is None else f"{record.best_metric:.5g}"
    lines = [
        *([f"**That does not work: {problem}**", ""] if problem else []),
        f"Stage {record.stage} is done: {record.runs_completed} runs, best {best}.",
        "",
        *(f"- {note.evidence}" for note in record.narrowing),
        "",
        f"This is what stage {record.stage + 1} would search. Change any range that you know better.",
    ]
    return "\n".join(lines)
