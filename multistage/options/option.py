"""What a declaration of an option says; the name, the type with its bounds, the default and the help are its field's.

To add an option is to add a field to one of this folder's models, and to use it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.fields import FieldInfo

from multistage.paths import expand_home

Pairs = Annotated[
    tuple[str, ...],
    WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""``key=value`` texts; where there are tables, a table will do."""


def _refuse_empty(path: Any) -> Any:
    if path == "":
        raise ValueError("it takes a path, and '.' is the current folder")
    return path


Place = Annotated[Path, BeforeValidator(_refuse_empty), AfterValidator(expand_home)]
"""A path; its ~ is written out, which no shell does in a form, a file or ``--flag=~/folder``."""
MOST = 1e9
"""Of an amount: 32 years of seconds, so that it can be added to a date."""
Amount = Annotated[float, Field(gt=0, le=MOST)]
"""Seconds, or dollars."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """What is said of an option beside its field."""

    usually: str | None = None
    """Its default in words, where that is found out or means something; empty to say nothing."""
    takes: str | None = None
    """What it takes, in words, where type and bounds do not say it."""
    choices: tuple[str, ...] = ()
    """What it takes, where that is more than this package knows of: its field is a text then."""
    sign: str | None = None
    """What stands for its value in the documentation."""
    common: bool = False
    """Whether it is among the few that come first in a form."""
    flag: bool = True
    """Whether it is a flag. A command takes the rest in its own way."""
    filed: bool = True
    """Whether it may stand in the settings file, and in a variable: not where it belongs to one sweep."""
    is_content: bool = False
    """Whether its flag names a file that holds it."""
    negatable: bool = False
    """Whether there is a flag ``--no-...`` as well."""
    told: bool = False
    """Whether a plan tells it even where nobody asked for it."""
    from_file: bool = False
    """Whether a relative path, or a program's name, is meant from where the settings file lies."""
    file_says: tuple[str, ...] = ()
    """Keys of a W&B sweep file that say the same, nearer than the settings."""
    rival: str | None = None
    """Another option that says the same in other words: the nearer one is meant."""
    settles: str | None = None
    """The setting that it makes part of what the sweep is, which a resume cannot change; None where it can."""
    also_with: tuple[str, ...] = ()
    """Launchers with which it means the same as with its group's own."""
    elsewhere: str | None = None
    """What to do instead where another launcher trains."""
    idle_alone: bool = False
    """Whether it has no effect where a sweep is run as it is."""


class Options(BaseModel):
    """A group of options. A field that is such a group itself stands for options under its name as a prefix."""

    # A sweep's state, which keeps them, is JSON: that knows neither infinity nor NaN.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    title: ClassVar[str] = ""
    """The group's heading in the documentation."""
    mark: ClassVar[str] = ""
    """The group in a word, for a form."""
    stages_only: ClassVar[bool] = False
    """Whether only a sweep in stages takes them, and none that is run as it is."""
    only_with: ClassVar[str | None] = None
    """The launcher with which alone they mean something."""
    where: ClassVar[str] = ""
    """What to call where that launcher's trainings run, as the end of a sentence."""


@dataclass(frozen=True)
class Declared:
    """An option as it is declared."""

    name: str
    field: FieldInfo
    option: Option
    group: type[Options]
    prefix: str = ""
    """The name of the launcher whose own it is."""

    @property
    def kind(self) -> Any:
        """Its type without None and without bounds."""
        if self.option.choices:
            return Literal[self.option.choices]
        kinds = [kind for kind in _unpack(self.field.annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else self.field.annotation

    @property
    def annotation(self) -> Any:
        """Its type as it is checked, bounds included."""
        return self.kind if self.option.choices else self.field.rebuild_annotation()

    @property
    def bounds(self) -> dict[str, Any]:
        """Its bounds by their names: ge, gt, le, lt."""
        marks = [*self.field.metadata, *_list_metadata(self.field.annotation)]
        return {
            name: getattr(mark, name)
            for mark in _flatten(marks)
            for name in ("ge", "gt", "le", "lt")
            if getattr(mark, name, None) is not None
        }

    @property
    def parts(self) -> type[Options] | None:
        """The options under its name, where it stands for some."""
        return self.kind if isinstance(self.kind, type) and issubclass(self.kind, Options) else None

    @property
    def default(self) -> Any:
        """What holds where nobody says anything."""
        return None if self.field.is_required() else self.field.get_default(call_default_factory=True)

    @property
    def help(self) -> str:
        """What it is for, in one line."""
        return " ".join((self.field.description or "").split())

    @property
    def usually(self) -> str:
        """Its default in words; empty where there is none."""
        if self.option.usually is not None:
            return self.option.usually
        if isinstance(self.default, bool):
            return "yes" if self.default else "no"
        if isinstance(self.default, float):
            return f"{self.default:g}"
        return "" if self.default in (None, (), "") or self.parts else str(self.default)

    @property
    def flag(self) -> str:
        """Its flag."""
        return "--" + "-".join((*([self.prefix] if self.prefix else []), self.name)).replace("_", "-")

    @property
    def key(self) -> str:
        """Its key in the settings file, dotted."""
        return f"{self.prefix}.{self.name}" if self.prefix else self.name


def list_options(*groups: type[Options]) -> Iterator[Declared]:
    """List the options of some groups, as they are declared: those under a prefix as one."""
    for group in groups:
        for name, field in group.model_fields.items():
            found = [mark for mark in field.metadata if isinstance(mark, Option)]
            yield Declared(name, field, found[0] if found else Option(), group)


def list_parts(declared: Declared) -> Iterator[Declared]:
    """List the options that stand under a prefix; an option that stands for itself gives itself."""
    if declared.parts is None:
        yield declared
        return
    for part in list_options(declared.parts):
        yield Declared(part.name, part.field, part.option, declared.group, declared.name)


def _unpack(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _unpack(get_args(annotation)[0])
    if get_origin(annotation) in (None, tuple, dict, list, Literal):
        return (annotation,)
    return tuple(kind for arg in get_args(annotation) for kind in _unpack(arg))


def _list_metadata(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return list(get_args(annotation)[1:])
    if get_origin(annotation) in (None, tuple, dict, list, Literal):
        return []
    return [mark for arg in get_args(annotation) for mark in _list_metadata(arg)]


def _flatten(marks: list[Any]) -> list[Any]:
    return [inner for mark in marks for inner in ([mark, *mark.metadata] if isinstance(mark, FieldInfo) else [mark])]
