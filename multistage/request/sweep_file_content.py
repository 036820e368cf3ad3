"""What stands in a W&B sweep file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multistage.domain.sweep_config import parse_config
from multistage.errors import UsageError


def read_content(path: Path) -> dict[str, Any]:
    """Read a W&B sweep file.

    Raises:
        UsageError: If it cannot be read.
        SpaceError: If it is no YAML mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageError(f"The sweep file {path} cannot be read: {reason}.", "Name a YAML file of W&B's.") from error
    return parse_config(text)


def read_run_cap(content: Mapping[str, Any]) -> int | None:
    """Give a sweep file's own bound on its runs, where it has a sensible one."""
    cap = content.get("run_cap")
    return cap if isinstance(cap, int) and not isinstance(cap, bool) else None
