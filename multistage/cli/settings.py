"""The command that tells what the settings file and the environment say."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from multistage.cli.paths import TypedPath

if TYPE_CHECKING:
    from multistage.request.sources.precedence import GatheredParameters


def settings(
    config_id: str | None = None,
    /,
    *,
    settings: TypedPath | None = None,
    schema: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Show what a sweep takes from multistage.toml and the environment.

    Args:
        config_id: For this config id, whose own section counts too.
        settings: Another settings file.
        schema: Print the file's JSON schema instead, with which editors complete and check it.
    """
    from multistage.report.plan import draw_settings
    from multistage.request.sources.precedence import (
        ENVIRONMENT,
        find_settings_file,
        gather_parameters,
        read_settings_file,
        read_variables,
    )
    from multistage.request.sources.settings_file import SETTINGS_FILE, build_schema

    if schema:
        print(json.dumps(build_schema(), indent=2))
        return 0
    path = find_settings_file(Path.cwd(), settings)
    file = read_settings_file(path)
    print(f"Settings file: {path or f'none; {SETTINGS_FILE} in this folder would be read'}")
    if file.configs:
        print(f"Config ids in it: {', '.join(file.configs)}")
    gathered = gather_parameters({"config_id": config_id}, Path.cwd(), settings)
    own = file.configs[config_id].ranges if config_id in file.configs else {}
    variables = read_variables().ranges
    places = dict.fromkeys(file.ranges, SETTINGS_FILE) | dict.fromkeys(own, f"{SETTINGS_FILE}, {config_id}")
    places |= dict.fromkeys(variables, ENVIRONMENT)
    sources = gathered.sources | {f"ranges.{name}": place for name, place in places.items()}
    ranges, idle = file.ranges | own | variables, list(_list_idle(gathered, config_id, settings))
    Console().print(draw_settings(gathered.parameters, sources, ranges, idle))
    return 0


def _list_idle(
    gathered: "GatheredParameters", config_id: str | None, settings: Path | None
) -> Iterator[tuple[str, Any, str]]:
    """List what is set and means something only with another launcher than the one that is chosen."""
    from multistage.launchers.registry import list_groups
    from multistage.request.sources.precedence import gather_parameters

    told = {"launcher", *gathered.sources}
    for launcher in filter(None, (group.only_with for group in list_groups())):
        other = gather_parameters({"config_id": config_id, "launcher": launcher}, Path.cwd(), settings)
        for name, where in other.sources.items():
            if name not in told and name in other.parameters:
                yield name, other.parameters[name], f"{where}, with --launcher {launcher}"
        told |= set(other.sources)
