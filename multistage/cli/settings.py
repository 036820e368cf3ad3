"""The command that tells what the settings file and the environment say."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console


def settings(
    config_id: str | None = None,
    /,
    *,
    settings: Path | None = None,
    schema: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Show what a sweep takes from multistage.toml and the environment.

    Args:
        config_id: For this config id, whose own section counts too.
        settings: Another settings file.
        schema: Print the file's JSON schema instead, with which editors complete and check it.
    """
    from multistage.report.plan import draw_settings
    from multistage.request.sources.precedence import find_settings_file, gather_parameters, read_settings_file
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
    ranges = file.ranges | own
    sources = {f"ranges.{name}": f"{SETTINGS_FILE}, {config_id}" if name in own else SETTINGS_FILE for name in ranges}
    Console().print(draw_settings(gathered.parameters, gathered.sources | sources, ranges))
    return 0
