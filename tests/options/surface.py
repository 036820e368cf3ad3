"""What can be asked of a sweep, read off each place where a user says it: flags, flows, settings file, variables."""

import types
from typing import Any, Literal, Union, get_args, get_origin

from prefect.utilities.callables import parameter_schema
from pydantic_settings import EnvSettingsSource

from multistage.cli import app
from multistage.options.catalogue import GROUPS
from multistage.pipeline.flows.multistage_sweep import multistage_sweep
from multistage.pipeline.flows.single_sweep import single_sweep
from multistage.request.sources.precedence import build_variables
from multistage.request.sources.settings_file import build_schema

COMMANDS = ("run", "plan", "resume", "deploy", "single", "settings")
WORDS = ("title", "description", "position")
"""Of a schema; they may change."""


def read_surface() -> dict[str, Any]:
    """Read all of it: by place, then by name."""
    return {
        "flags": {command: _read_flags(command) for command in COMMANDS},
        "flows": {flow.name: _read_flow(flow) for flow in (multistage_sweep, single_sweep)},
        "file": _read_file(),
        "variables": _read_variables(),
    }


def _read_flags(command: str) -> dict[str, list[str]]:
    """By a flag's name: its other names, what turns it off, and what it takes."""
    arguments = app[command].assemble_argument_collection(parse_docstring=True)
    shown = [one for one in arguments if one.names != ("*",)]
    return {one.name: [*sorted(one.names), "no:", *one.negatives, "takes:", _name(one.hint)] for one in shown}


def _name(hint: Any) -> str:
    """Write a type without its None."""
    if get_origin(hint) in (Union, types.UnionType):
        return " | ".join(_name(one) for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is Literal:
        return " ".join(map(str, get_args(hint)))
    return str(hint) if get_origin(hint) else str(hint.__name__)


def _read_flow(flow: Any) -> dict[str, Any]:
    """By parameter. What a table's parts are by default is left out: a form would fill it in."""
    schema = parameter_schema(flow).model_dump(exclude_unset=True)
    found = {name: _simplify(one, schema) for name, one in schema["properties"].items()}
    for part in (part for one in found.values() for part in one.get("properties", {}).values()):
        part.pop("default", None)
    return found


def _read_file() -> dict[str, Any]:
    """By key; of a config id's section, which takes the same, the keys alone."""
    schema = build_schema()
    section = _resolve(schema["properties"].pop("configs")["additionalProperties"], schema)
    keys = {name: _simplify(one, schema) for name, one in schema["properties"].items()}
    return {**keys, "configs": sorted(section["properties"])}


def _simplify(one: Any, schema: dict[str, Any]) -> Any:
    """Leave out words, references, and that nothing may be said, which is a matter of form."""
    if not isinstance(one, dict):
        return one
    one = _resolve(one, schema)
    if "anyOf" in one:
        some = [option for option in one["anyOf"] if option != {"type": "null"}]
        rest = {key: value for key, value in one.items() if key != "anyOf"}
        one = _resolve({**rest, **some[0]}, schema) if len(some) == 1 else {**rest, "anyOf": some}
    kept = {key: value for key, value in one.items() if key not in WORDS and (key, value) != ("default", None)}
    if "properties" in kept:
        kept["properties"] = {name: _simplify(part, schema) for name, part in kept["properties"].items()}
    return dict(sorted(kept.items()))


def _resolve(one: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in one:
        return one
    found: Any = schema
    for part in one["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return {**found, **{key: value for key, value in one.items() if key != "$ref"}}


def _read_variables() -> list[str]:
    variables = build_variables(GROUPS)
    source = EnvSettingsSource(variables)
    names = []
    for key, field in variables.model_fields.items():
        names.append(source.env_prefix + key)
        names += [f"{source.env_prefix}{key}__{part}" for part in getattr(field.annotation, "model_fields", ())]
    return sorted(name.upper() for name in names)
