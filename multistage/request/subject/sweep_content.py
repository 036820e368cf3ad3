"""A W&B sweep file as it lies on the disk, and what it says of a request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multistage.domain.sweep.sweep_config import parse_config
from multistage.domain.sweep.sweep_file import name_config_id
from multistage.domain.sweep.sweep_keys import check_keys
from multistage.errors import UsageError


def read_content(path: Path) -> dict[str, Any]:
    """Read a W&B sweep file.

    Raises:
        UsageError: If it cannot be read.
        SpaceError: If it is not a YAML mapping, or has a key that is a slip.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"The sweep file {path} cannot be read: {reason}.", "Name a YAML file of W&B's.") from error
    content = parse_config(text)
    check_keys(content)
    return content


def read_run_cap(content: Mapping[str, Any]) -> int | None:
    """Return a sweep file's own bound on its runs, where it has a sensible one."""
    cap = content.get("run_cap")
    return cap if isinstance(cap, int) and not isinstance(cap, bool) else None


def take_content(given: Mapping[str, Any]) -> dict[str, Any]:
    """Read the file that ``sweep_file`` names, where it is no content yet; take from it what was not said.

    That is the config id, and the budget.

    Args:
        given: What was asked for, by name.

    Raises:
        UsageError: As `read_content`.
    """
    path = given.get("sweep_file")
    if not isinstance(path, Path):
        return dict(given)
    content = read_content(path)
    own = {"config_id": name_config_id(content) or path.stem, "budget": read_run_cap(content)}
    told = {key: value for key, value in own.items() if value is not None and given.get(key) is None}
    return {**given, **told, "sweep_file": content}
