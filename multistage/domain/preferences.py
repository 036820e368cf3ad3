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

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from multistage.domain.grammar import parse_params
from multistage.domain.parameters import Parameter
from multistage.domain.plan import RunWishes
from multistage.domain.request import SweepWishes
from multistage.domain.styles import is_module_name
from multistage.errors import SpaceError, UsageError

SETTINGS_FILE = "multistage.toml"
PATHS = ("runs_dir", "project_dir", "program", "python")
"""Relative ones are meant from where the file lies; a program may be a module instead."""


class Preferences(SweepWishes, RunWishes):
    """What a sweep is begun with unless told otherwise."""

    workers: Annotated[int, Field(ge=1, le=1000, json_schema_extra=lambda schema: schema.pop("default", None))] = 1
    """Trainings at once; by default the cores, on Modal 8."""
    runs_dir: Path = Path("runs")
    """Where the sweeps' folders lie."""
    ranges: dict[str, str] = Field(default_factory=dict)
    """Ranges of parameters that may be named without one, in the words of --params without the name."""

    def list_given(self) -> dict[str, Any]:
        """Give what was set, by key; the ranges apart."""
        told = [name for name in type(self).model_fields if name in self.model_fields_set]
        given = {name: getattr(self, name) for name in told if name not in ("ranges", "configs")}
        if "modal" in given:
            given["modal"] = self.modal.model_dump(exclude_unset=True)
        return given


class SettingsFile(Preferences):
    """The whole file."""

    configs: dict[str, Preferences] = Field(default_factory=dict)
    """The same for one config id each: your own, with their programs, or bundled ones."""


def parse_settings(text: str, path: Path) -> SettingsFile:
    """Read a settings file.

    Args:
        text: Its content.
        path: Where it lies: for the errors, and for its relative paths.

    Raises:
        UsageError: It is no TOML, has an unknown key (the hint names the nearest), or a value that makes no sense.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}.", "Mend it there; https://toml.io shows how.") from error
    configs = content.get("configs")
    for section in (content, *(configs.values() if isinstance(configs, dict) else ())):
        if isinstance(section, dict):
            _locate_paths(section, path.absolute().parent)
    try:
        settings = SettingsFile.model_validate(content)
    except ValidationError as error:
        raise explain_mistake(error, str(path)) from error
    for section in (settings, *settings.configs.values()):
        parse_ranges(section.ranges, {}, str(path))
    return settings


def _locate_paths(section: dict[str, Any], folder: Path) -> None:
    for key in PATHS:
        path = section.get(key)
        if isinstance(path, str) and not (key == "program" and is_module_name(path)):
            section[key] = str(folder / Path(path).expanduser())


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


def explain_mistake(error: ValidationError, where: str) -> UsageError:
    """Say in a sentence what is wrong with a settings file or a variable of the environment.

    Args:
        error: Of the model.
        where: The file, or what stands for it.
    """
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        known = _list_keys(first["loc"])
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}."
        return UsageError(f"{where} has an unknown key {place!r}.", hint)
    reason = str(first["msg"]).removeprefix("Value error, ")
    return UsageError(
        f"{where}: {place} cannot be {first['input']!r}: {reason[:1].lower()}{reason[1:]}.",
        "`multistage-sweep settings --schema` says what each key takes.",
    )


def _list_keys(place: tuple[int | str, ...]) -> list[str]:
    if "modal" in place[:-1]:
        return list(RunWishes().modal.__class__.model_fields)
    model = SettingsFile if len(place) == 1 else Preferences
    return list(model.model_fields)


def build_schema() -> dict[str, Any]:
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

    schema = SettingsFile.model_json_schema(schema_generator=WithoutNull)
    return {"$schema": WithoutNull.schema_dialect, **schema, "title": SETTINGS_FILE}
