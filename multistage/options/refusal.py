"""What is said of a value that an option does not take: one sentence, in the words of the place where it stands."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from multistage.errors import UsageError
from multistage.options.catalogue import GROUPS, Groups, list_idle
from multistage.options.option import MOST, Declared, Options, list_options, list_parts

VARIABLE_PREFIX = "MULTISTAGE_"

Spelling = Callable[[Declared], str]
"""How a place writes an option's name."""


def spell_flag(option: Declared) -> str:
    """As on the command line."""
    return option.flag


def spell_key(option: Declared) -> str:
    """As in the settings file, and among a flow's parameters."""
    return option.key


def spell_variable(option: Declared) -> str:
    """As in the environment."""
    return VARIABLE_PREFIX + option.key.replace(".", "__").upper()


def describe_accepted(option: Declared) -> str:
    """Say what an option takes, such as "a whole number from 2 to 100"."""
    if option.option.takes:
        return option.option.takes
    kind = option.kind
    if get_origin(kind) is Literal:
        *most, last = map(str, get_args(kind))
        return f"{', '.join(most)} or {last}" if most else last
    if get_origin(kind) is tuple:
        return "key=value texts"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path"}
    return words.get(kind, "a table") + _describe_bounds(option.bounds)


def _describe_bounds(bounds: Mapping[str, Any]) -> str:
    low, high = bounds.get("ge"), bounds.get("le")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of {low} or more"
    if "gt" not in bounds:
        return ""
    return f" above {bounds['gt']}" + ("" if high is None else f", up to {high:,.0f}")


def check_seconds(flag: str, seconds: float) -> None:
    """Check a command's own flag, which is no option of a sweep.

    Args:
        flag: As it is typed.
        seconds: What was given.

    Raises:
        UsageError: It is no amount of seconds.
    """
    if not 0 < seconds <= MOST:
        accepted = f"seconds{_describe_bounds({'gt': 0, 'le': MOST})}"
        raise UsageError(f"{flag} cannot be {seconds:g}: it takes {accepted}.", "See multistage-sweep --help.")


def find_option(place: tuple[int | str, ...], groups: Groups = GROUPS) -> Declared | None:
    """Find the option that an error's place names; None where it names none."""
    declared = next((option for option in list_options(*groups) if place[:1] == (option.name,)), None)
    if declared is None or declared.parts is None or len(place) == 1:
        return declared
    return next((part for part in list_parts(declared) if part.name == place[1]), None)


def refuse_value(option: Declared, value: object, spelled: str, why: str | None = None) -> str:
    """Say in a sentence that an option does not take a value.

    Args:
        option: The option.
        value: What was given.
        spelled: Its name, as it is written where that was given.
        why: What is wrong with it, where that is more than its type and bounds.
    """
    shown = f"{value!r}" if len(f"{value!r}") < 80 else f"{value!r:.77}..."
    return f"{spelled} cannot be {shown}: {why or f'it takes {describe_accepted(option)}'}."


def explain_refusal(error: Mapping[str, Any]) -> str | None:
    """Return what an option's own check says; None where its type or bounds say it."""
    return str(error["ctx"]["error"]).rstrip(".") if error["type"] == "value_error" else None


def check_values(given: Mapping[str, Any], spell: Spelling, hint: str, groups: Groups = GROUPS) -> dict[str, Any]:
    """Check what was given, and bring it into the options' types; what is no option stays as it is.

    Args:
        given: By name; None stands for what was not given.
        spell: How the options are written there.
        hint: What to do about a value that is refused.
        groups: The options.

    Raises:
        UsageError: An option does not take its value.
    """
    model = build_partial(groups)
    known = {name: value for name, value in given.items() if name in model.model_fields and value is not None}
    try:
        checked = model.model_validate(known)
    except ValidationError as error:
        raise explain_values(error, spell, hint, groups) from error
    return {**given, **{name: _flatten(getattr(checked, name)) for name in known}}


def _flatten(value: Any) -> Any:
    return value.model_dump(exclude_unset=True) if isinstance(value, Options) else value


def explain_values(error: ValidationError, spell: Spelling, hint: str, groups: Groups = GROUPS) -> UsageError:
    """Say in a sentence what an option does not take."""
    first = error.errors()[0]
    option = find_option(first["loc"], groups)
    if option is None:
        place = ".".join(map(str, first["loc"]))
        return UsageError(f"There is no option {place}.", hint)
    return UsageError(refuse_value(option, first["input"], spell(option), explain_refusal(first)), hint)


def refuse_idle(given: Mapping[str, Any], launcher: str, groups: Groups = GROUPS) -> None:
    """Refuse flags that mean nothing with a launcher; one that is switched off asks for nothing.

    Args:
        given: The flags, by name.
        launcher: The launcher.
        groups: The options.

    Raises:
        UsageError: If one was given for trainings elsewhere.
    """
    idle = list_idle(launcher, groups)
    asked = {name for name, value in given.items() if value is not None and value is not False}
    for option in (option for option in list_options(*groups) if option.name in idle and option.name in asked):
        first = next((part for part in list_parts(option) if part is option or part.name in given[option.name]), option)
        where = next((group.where for group in groups if group.only_with == launcher), f"with {launcher}")
        remedy = option.option.elsewhere or f"Add --launcher {option.group.only_with}."
        raise UsageError(f"{first.flag} has no effect {where}.", remedy)


@cache
def build_partial(groups: Groups) -> type[BaseModel]:
    """Build a model of options of which none need be given."""
    fields: dict[str, Any] = {
        option.name: (option.annotation | None, Field(default=None)) for option in list_options(*groups)
    }
    config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    return create_model("GivenOptions", __config__=config, **fields)
