"""How the ranges close in, stage by stage."""

from collections.abc import Collection, Iterator

from multistage.domain.live.summary import ParameterSummary, Scale, Span
from multistage.domain.runs.results import Value
from multistage.domain.space.narrowing import ParameterNarrowing
from multistage.domain.space.parameters import CategoricalParameter, Parameter, PowerOfTwoParameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.state import State


def summarize_parameters(state: State) -> tuple[ParameterSummary, ...]:
    """Sum up what each stage searches of each parameter, as far as that is settled."""
    return tuple(_summarize(state, parameter) for parameter in state.settings.space.parameters)


def _summarize(state: State, first: Parameter) -> ParameterSummary:
    notes = [note for record in state.stages_completed for note in record.narrowing if note.name == first.name]
    shares = [note.importance for note in notes if note.importance is not None]
    usual = state.settings.baseline.get(first.name)
    return ParameterSummary(
        name=first.name,
        scale=_name_scale(first),
        extent=(0.0, 1.0) if isinstance(first, CategoricalParameter) else first.extent,
        ends=(_show(first.bounds[0]), _show(first.bounds[-1])),
        choices=first.choices if isinstance(first, CategoricalParameter) else (),
        default=first.to_unit(usual) if usual is not None and first.contains(usual) else None,
        spans=tuple(
            Span(
                stage=stage,
                parts=tuple(_place(first, space[first.name])),
                words=_describe(space[first.name]),
                why=_explain(state, stage, first.name),
            )
            for stage, space in _list_boxes(state)
        ),
        importance=shares[-1] if shares else None,
    )


def _list_boxes(state: State) -> Iterator[tuple[int, SearchSpace]]:
    """List the stages whose box is known, with it: the first, and each that follows a finished one."""
    yield 1, state.settings.space
    for record in state.stages_completed:
        if record.next_space is not None:
            yield record.stage + 1, record.next_space


def _explain(state: State, stage: int, name: str) -> str:
    """Quote the evidence by which a stage's range was narrowed; empty where none was."""
    notes: list[ParameterNarrowing] = [
        note
        for record in state.stages_completed
        if record.stage == stage - 1
        for note in record.narrowing
        if note.name == name
    ]
    return notes[0].evidence if notes else ""


def _place(first: Parameter, now: Parameter) -> Iterator[tuple[float, float]]:
    """Return the stretches of the first range that a box holds; those of neighbouring choices are one."""
    if isinstance(first, CategoricalParameter):
        yield from _join([first.choices.index(value) for value in now.list_values()], len(first.choices))
        return
    assert not isinstance(now, CategoricalParameter)  # noqa: S101 - no narrowing changes a kind
    # Whole numbers take the cell around them.
    (start, end), (low, high) = first.extent, now.extent
    yield ((low - start) / (end - start), (high - start) / (end - start)) if end > start else (0.0, 1.0)


def _join(kept: Collection[int], count: int) -> Iterator[tuple[float, float]]:
    """Join neighbours among some of so many equal shares of the unit interval."""
    begun = None
    for place in range(count + 1):
        if place in kept:
            begun = place if begun is None else begun
        elif begun is not None:
            yield begun / count, place / count
            begun = None


def _name_scale(parameter: Parameter) -> Scale:
    match parameter:
        case CategoricalParameter():
            return "choices"
        case PowerOfTwoParameter():
            return "log2"
        case _:
            return parameter.scale


def _describe(parameter: Parameter) -> str:
    shown = [_show(value) for value in parameter.bounds]
    return ", ".join(shown) if isinstance(parameter, CategoricalParameter) else " to ".join(shown)


def _show(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
