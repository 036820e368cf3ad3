"""The settings file, ``multistage.toml``: what its user wants wherever neither a flag nor the environment says more.

All that a sweep takes may stand at its top, and again for one config id::

    budget = 300
    ranges.lr = "log:1e-5-1e-2"

    [configs."my-model:v2"]
    program = "train.py"
    metric = "val/loss"
    goal = "minimize"
    ranges.layers = "int:1-4"
    baseline = { lr = 1e-3, layers = 2 }
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema

from multistage.domain.space.grammar import parse_params
from multistage.domain.space.parameters import Parameter
from multistage.domain.sweep.request import TableReader
from multistage.domain.workers.styles import is_module_name
from multistage.errors import SpaceError, UsageError
from multistage.launchers.registry import list_groups
from multistage.options.catalogue import Groups, list_names
from multistage.options.option import Options, list_options
from multistage.options.refusal import Spelling, explain_refusal, find_option, refuse_value, spell_key
from multistage.paths import expand_home
from multistage.spelling import suggest

SETTINGS_FILE = "multistage.toml"
HINT = "`multistage-sweep settings --schema` says what each key takes."


class Preferences(TableReader):
    """What a sweep is begun with unless told otherwise. Built with the options by `build_preferences`."""

    ranges: dict[str, str] = Field(default_factory=dict)
    """Ranges of parameters that may be named without one, in the words of --params without the name."""

    def list_given(self) -> dict[str, Any]:
        """Return what was set, by key; the ranges apart."""
        given = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        plain = {
            name: value.model_dump(exclude_unset=True) if isinstance(value, Options) else value
            for name, value in given.items()
        }
        return {name: value for name, value in plain.items() if name not in ("ranges", "configs")}


class SettingsFile(Preferences):
    """The whole file. Built with the options by `build_settings`."""

    configs: dict[str, Preferences] = Field(default_factory=dict)
    """The same for one config id each: your own, with their programs, or bundled ones."""


@cache
def build_preferences(groups: Groups) -> type[Preferences]:
    """Build the model of what may be preferred: every option that can stand in a file."""
    return create_model("Preferences", __base__=Preferences, __doc__=Preferences.__doc__, **_list_fields(groups))


@cache
def build_settings(groups: Groups) -> type[SettingsFile]:
    """Build the model of the whole file."""
    sections: Any = dict[str, build_preferences(groups)]  # type: ignore[misc]
    described: Any = Field(default_factory=dict, description=SettingsFile.model_fields["configs"].description)
    fields: dict[str, Any] = {**_list_fields(groups), "configs": (sections, described)}
    return create_model("SettingsFile", __base__=SettingsFile, __doc__=SettingsFile.__doc__, **fields)


def _list_fields(groups: Groups) -> dict[str, Any]:
    filed = (option for option in list_options(*groups) if option.option.filed)
    return {one.name: (one.kind if one.option.choices else one.field.annotation, one.field) for one in filed}


def parse_settings(text: str, path: Path, groups: Groups | None = None) -> SettingsFile:
    """Read a settings file.

    Args:
        text: Its content.
        path: Where it lies: for the errors, and for its relative paths.
        groups: The options that it may set; by default this package's and those of installed launchers.

    Raises:
        UsageError: It is not valid TOML, is nested too deeply, has an unknown key (the hint names the nearest), or a
            bad value.
    """
    try:
        return _parse_settings(text.removeprefix("\ufeff"), path, groups or list_groups())
    except RecursionError as error:
        raise UsageError(f"{path} is nested too deeply.", HINT) from error


def _parse_settings(text: str, path: Path, groups: Groups) -> SettingsFile:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.", "Fix it there; https://toml.io shows how.") from error
    configs = content.get("configs")
    for section in (content, *(configs.values() if isinstance(configs, dict) else ())):
        if isinstance(section, dict):
            _locate_paths(section, path.absolute().parent)
    try:
        settings = build_settings(groups).model_validate(content)
    except ValidationError as error:
        raise explain_mistake(error, f"{path}: ", spell_key, groups) from error
    for section in (settings, *settings.configs.values()):
        parse_ranges(section.ranges, {}, str(path))
    return settings


def _locate_paths(section: dict[str, Any], folder: Path) -> None:
    for key in list_names(from_file=True):
        path = section.get(key)
        if isinstance(path, str) and path and not (key == "program" and is_module_name(path)):
            section[key] = str(folder / expand_home(Path(path)))


def parse_ranges(ranges: Mapping[str, str], known: Mapping[str, Parameter], where: str) -> dict[str, Parameter]:
    """Read ranges by name.

    Args:
        ranges: As the file has them.
        known: Parameters whose kind and scale hold where no word says otherwise.
        where: The file, for the error.

    Raises:
        UsageError: One of them makes no sense.
    """
    parsed = {}
    for name, text in ranges.items():
        try:
            (parsed[name],) = parse_params(f"{name}:{text}", known).parameters
        except SpaceError as error:
            raise UsageError(f"{where}, ranges.{name}: {error.message}", error.hint) from error
        except ValueError as error:
            raise UsageError(
                f"{where}, ranges.{name}: {text!r} is more than one range.", "Write each in a line of its own."
            ) from error
    return parsed


def explain_mistake(error: ValidationError, where: str, spell: Spelling, groups: Groups) -> UsageError:
    """Say in a sentence what is wrong with a settings file or a variable of the environment.

    Args:
        error: Of the model.
        where: What the sentence begins with: the file.
        spell: How the options are written there.
        groups: The options.
    """
    first = error.errors()[0]
    place, dotted = first["loc"], ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        key = str(place[-1])
        known = _list_keys(place, groups)
        hint = suggest(key, known, 0.4).strip() or f"Known are {', '.join(known)}."
        return UsageError(f"{where.rstrip(': ') or 'The environment'} has an unknown key {dotted!r}.", hint)
    section = ".".join(map(str, place[:2])) + "." if place[0] == "configs" and len(place) > 2 else ""
    inner = place[2:] if section else place
    option = find_option(inner, groups)
    if option is None:
        is_range = len(inner) == 2 and inner[0] == "ranges"
        accepted = "a text, as in ranges.lr = 'log:1e-5-1e-2'" if is_range else "a table"
        return UsageError(f"{where}{dotted} cannot be {first['input']!r}: it takes {accepted}.", HINT)
    return UsageError(
        where + refuse_value(option, first["input"], section + spell(option), explain_refusal(first)), HINT
    )


def _list_keys(place: tuple[int | str, ...], groups: Groups) -> list[str]:
    inner = find_option(place[2:-1] if place[0] == "configs" else place[:-1], groups)
    if inner is not None and inner.parts is not None:
        return list(inner.parts.model_fields)
    model: type[Preferences] = build_settings(groups) if len(place) == 1 else build_preferences(groups)
    return list(model.model_fields)


def build_schema(groups: Groups | None = None) -> dict[str, Any]:
    """Build the file's JSON schema, with which editors complete and check it."""

    class WithoutNull(GenerateJsonSchema):
        """TOML knows no null."""

        def nullable_schema(self, schema: Any) -> dict[str, Any]:
            return self.generate_inner(schema["schema"])

        def default_schema(self, schema: Any) -> dict[str, Any]:
            found = super().default_schema(schema)
            if found.get("default", "") is None:
                del found["default"]
            return found

    schema = build_settings(groups or list_groups()).model_json_schema(schema_generator=WithoutNull)
    return {"$schema": WithoutNull.schema_dialect, **schema, "title": SETTINGS_FILE}
