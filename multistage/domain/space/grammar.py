"""The language of ``--params``: ``gae_lambda,policy_lr:1e-4-1e-2,n_layers:int:1-4,act:[relu|tanh]``.

Each parameter is ``name``, ``name:min-max`` or ``name:[a|b|c]``. Between name and range, words say how a
range is searched: ``log`` or ``linear``, and ``float``, ``int`` or ``pow2``. A known parameter keeps its own
kind and scale wherever no word says otherwise; a power of two whose new bounds are none becomes an integer on
a log scale.
"""

import json
import re
from collections.abc import Mapping
from typing import assert_never

from pydantic import ValidationError

from multistage.domain.runs.results import Value
from multistage.domain.runs.values import read_value, write_value
from multistage.domain.space.choices import unite_choices
from multistage.domain.space.defaults import GUIDE_PARAMETERS
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
    Scale,
    is_power_of_two,
)
from multistage.domain.space.search_space import SearchSpace
from multistage.errors import SpaceError
from multistage.spelling import suggest

_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*-\s*({_NUMBER})\s*")
_STRUCTURE = re.compile(r"[\[\]|]")
"""What a choice holds escaped, within quotes."""
_NAME = re.compile(r"[A-Za-z0-9_./-]+")
_SCALES: Mapping[str, Scale] = {"log": "log", "linear": "linear"}
_KINDS = ("float", "int", "pow2")
_FORMS = "Write `name`, `name:min-max`, `name:WORD:min-max` (log, linear, float, int, pow2) or `name:[a|b|c]`."


def parse_params(text: str, known: Mapping[str, Parameter] = GUIDE_PARAMETERS) -> SearchSpace:
    """The space that a user's ``--params`` describes.

    Args:
        text: Parameters separated by commas, in the language above.
        known: Parameters that may be named without a range, with that range.

    Raises:
        SpaceError: The text is no such list, or a parameter in it makes no sense.
    """
    if not text.strip():
        raise SpaceError("No parameter was named.", _list_known(known))
    parameters = [_parse_parameter(item, known) for item in split_params(text)]
    try:
        return SearchSpace(parameters=tuple(parameters))
    except ValidationError as error:
        raise SpaceError(_read_reason(error), "Name each parameter once.") from None


def split_params(text: str) -> list[str]:
    """Split a ``--params`` at the commas that separate parameters."""
    return [item.strip() for item in re.split(r",(?![^\[]*\])", text)]


def parse_names(text: str) -> list[str]:
    """Return the names in a ``--params`` that have no range of their own there."""
    items = (item.split(":") for item in split_params(text))
    return [name.strip() for name, *words in items if not words or words[-1].strip() in (*_SCALES, *_KINDS)]


def expand_params(text: str, ranges: Mapping[str, Parameter]) -> str:
    """Write out the ranges that a settings file knows, so that the text says the same without that file.

    Args:
        text: As `parse_params` takes it; what it would refuse stays as it is.
        ranges: By name.

    Raises:
        SpaceError: An item that the file has a range for makes no sense.
    """
    items = split_params(text)
    return ",".join(
        format_parameter(_parse_parameter(item, ranges)) if item.partition(":")[0].strip() in ranges else item
        for item in items
    )


def note_choices(text: str) -> tuple[str, ...]:
    """Say which choices of a ``--params`` count once, or are kept apart, a sentence each."""
    notes: list[str] = []
    for item in split_params(text):
        name, _, choices = item.partition(":")
        if choices.strip().startswith("["):
            given = [read_value(choice.strip()) for choice in choices.strip()[1:-1].split("|")]
            notes += unite_choices(name.strip(), given).notes
    return tuple(notes)


def format_parameter(parameter: Parameter) -> str:
    """Write a parameter so that `parse_params` gives the same one, whatever ranges it knows."""
    match parameter:
        case FloatParameter() | IntParameter():
            return f"{parameter.name}:{parameter.kind}:{parameter.scale}:{format_range(parameter)}"
        case PowerOfTwoParameter():
            return f"{parameter.name}:pow2:{format_range(parameter)}"
        case CategoricalParameter():
            return f"{parameter.name}:{format_range(parameter)}"
        case _:
            assert_never(parameter)


def format_range(parameter: Parameter) -> str:
    """Write a parameter's bounds or choices, such as ``0.1-0.3`` or ``[relu|tanh]``."""
    if isinstance(parameter, CategoricalParameter):
        return f"[{'|'.join(map(_format_choice, parameter.choices))}]"
    return f"{parameter.low!r}-{parameter.high!r}"


def _format_choice(choice: Value) -> str:
    text = write_value(choice)
    plain = text == text.strip() and text and not _STRUCTURE.search(text)
    if plain or not isinstance(choice, str):
        return text
    return _STRUCTURE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(choice))


def _parse_parameter(item: str, known: Mapping[str, Parameter]) -> Parameter:
    if not item:
        raise SpaceError("The list of parameters has an empty entry.", "Remove the extra comma.")
    name, *words = (part.strip() for part in re.split(r":(?![^\[]*\])", item))
    if not _NAME.fullmatch(name):
        raise SpaceError(
            f"{name!r} is not a valid name for a parameter.", "Use letters, digits and the characters _ . / - only."
        )
    scale: Scale | None = None
    kind: str | None = None
    while words and words[0] in (*_SCALES, *_KINDS):
        word = words.pop(0)
        if (word in _SCALES and scale) or (word in _KINDS and kind):
            raise SpaceError(f"{name} says the same thing twice in {item!r}.", _FORMS)
        scale, kind = (_SCALES[word], kind) if word in _SCALES else (scale, word)
    if len(words) > 1:
        meant = suggest(words[0], (*_SCALES, *_KINDS), 0.5)
        raise SpaceError(f"{name} has the unknown word {words[0]!r} in {item!r}.", f"{meant}{_FORMS}")
    usual = known.get(name)
    if usual is None and not words:
        raise SpaceError(f"{name} has no range of its own.", _suggest(name, known))
    try:
        if words and words[0].startswith("["):
            if scale or kind:
                raise SpaceError(
                    f"{name} has choices, which take neither a scale nor a kind.", f"Write `{name}:{words[0]}`."
                )
            return CategoricalParameter(name=name, choices=_parse_choices(name, words[0]))
        if usual is not None and not words and not scale and not kind:
            return usual
        low, high = _parse_range(name, words[0]) if words else _read_range(usual)
        return _build(name, low, high, kind, scale, usual)
    except ValidationError as error:
        raise SpaceError(_read_reason(error), _explain(name, error)) from None


def _build(name: str, low: str, high: str, kind: str | None, scale: Scale | None, usual: Parameter | None) -> Parameter:
    if float(low) == float(high):
        raise SpaceError(f"{name} has a range of width zero.", f"Write `{name}:[{low}]` to keep it at that value.")
    numbers = float(low), float(high)
    whole = all(number.is_integer() for number in numbers)
    if kind is None:
        match usual:
            case None | FloatParameter():
                kind = "float"
            case IntParameter():
                kind = "int"
            case PowerOfTwoParameter():
                powers = scale is None and all(map(is_power_of_two, numbers))
                kind, scale = ("pow2", None) if powers else ("int", scale or "log")
            case CategoricalParameter():
                kind = "int" if whole and all(_is_whole(choice) for choice in usual.choices) else "float"
            case _:
                assert_never(usual)
    if scale is None and isinstance(usual, FloatParameter | IntParameter):
        scale = usual.scale
    if kind == "float":
        return FloatParameter(name=name, low=numbers[0], high=numbers[1], scale=scale or "linear")
    if not whole:
        raise SpaceError(
            f"{name} takes whole numbers, and {low} to {high} has bounds that are not whole.",
            f"Write whole bounds, or `{name}:float:{low}-{high}`.",
        )
    if kind == "int":
        return IntParameter(name=name, low=int(numbers[0]), high=int(numbers[1]), scale=scale or "linear")
    if scale == "linear":
        raise SpaceError(f"{name} takes powers of two, which lie on a log scale.", f"Write `{name}:int:{low}-{high}`.")
    return PowerOfTwoParameter(name=name, low=int(numbers[0]), high=int(numbers[1]))


def _parse_range(name: str, text: str) -> tuple[str, str]:
    found = _RANGE.fullmatch(text)
    if found is None:
        meant = suggest(text, (*_SCALES, *_KINDS), 0.5)
        raise SpaceError(f"{name} has {text!r} where a range should be.", f"{meant}{_FORMS}")
    return found[1], found[2]


def _read_range(usual: Parameter | None) -> tuple[str, str]:
    if usual is None or isinstance(usual, CategoricalParameter):
        name = "" if usual is None else usual.name
        raise SpaceError(f"{name} has choices, and no range that a scale could apply to.", _FORMS)
    return repr(usual.low), repr(usual.high)


def _parse_choices(name: str, text: str) -> tuple[Value, ...]:
    choices = [choice.strip() for choice in text[1:-1].split("|")]
    if not text.endswith("]") or not all(choices):
        raise SpaceError(f"{name} has {text!r} where choices should be.", f"Write `{name}:[a|b|c]`.")
    return unite_choices(name, [read_value(choice) for choice in choices]).values


def _is_whole(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _read_reason(error: ValidationError) -> str:
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")


def _explain(name: str, error: ValidationError) -> str:
    reason = _read_reason(error)
    if "log scale" in reason:
        return f"Give a minimum above 0, or write `{name}:linear:min-max`."
    if "powers of two" in reason:
        return f"Use bounds such as 64 and 1024, or write `{name}:int:min-max`."
    if "above its maximum" in reason:
        return "Put the smaller bound first."
    return _FORMS


def _suggest(name: str, known: Mapping[str, Parameter]) -> str:
    return f"{suggest(name, known)}Write `{name}:min-max`. {_list_known(known)}"


def _list_known(known: Mapping[str, Parameter]) -> str:
    return f"Known without a range: {', '.join(known)}." if known else _FORMS
