"""The command that runs a W&B sweep as it is."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from multistage.cli.flags import NO_SINGLE_FLAGS, SingleFlags
from multistage.cli.paths import TypedPath
from multistage.cli.sweeping import run_sweep
from multistage.errors import UsageError


def single(
    file: TypedPath | None = None,
    /,
    *,
    flags: SingleFlags = NO_SINGLE_FLAGS,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Run one W&B sweep as it is, in one stage: the server's own engine proposes, and the workers train.

    Args:
        file: A W&B sweep file, whose sweep is created.
        flags: How it is run.
        as_json: End the output with the result as one JSON object; everything else goes to the standard error.
    """
    from multistage.request.given_flags import gather_single_flags

    given = flags.list_given()
    if (file is None) != bool(given.get("sweep_id")):
        raise UsageError("Exactly one sweep is needed.", "Name a sweep file, or a sweep that exists: --sweep-id ID.")
    gathered, account = gather_single_flags(given | ({"sweep_file": file} if file else {}), Path.cwd())
    return run_sweep(gathered, Console(stderr=as_json), as_json, account)
