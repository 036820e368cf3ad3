"""The command that runs one W&B sweep as it is."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from multistage.cli.flags import RunFlags, refuse_modal_flags
from multistage.errors import UsageError

NO_FLAGS = RunFlags()


def single(
    file: Path | None = None,
    /,
    *,
    sweep_id: str | None = None,
    count: int | None = None,
    flags: RunFlags = NO_FLAGS,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Run one W&B sweep as it is, in one stage: the server's own engine proposes, and the workers train.

    Args:
        file: A W&B sweep file, whose sweep is created.
        sweep_id: A sweep that is there already: ENTITY/PROJECT/ID, or ID alone. It is left as it was found.
        count: Runs to train. [default: the file's run_cap, else all points of its grid]
        flags: How it is run.
        as_json: End the output with the result as one JSON object; everything else goes to the standard error.
    """
    from rich.console import Console

    from multistage.cli.sweeping import run_sweep
    from multistage.domain.sweep_file import name_config_id
    from multistage.request.preferences import gather_parameters
    from multistage.request.single import adopt_sweep, count_runs
    from multistage.request.sweep_file_content import read_content

    if (file is None) == (sweep_id is None):
        raise UsageError(
            "One sweep is needed, and no more.", "Name a sweep file, or a sweep that exists: --sweep-id ID."
        )
    given = flags.list_given() | {"single": True, "sweep_id": sweep_id}
    if file is not None:
        content, label = read_content(file), file.stem
        given["sweep_file"] = content
    else:
        given = dict(adopt_sweep(given, Path.cwd()))
        content, label = given["sweep_file"], given["adopted"].sweep_id
    config_id = name_config_id(content) or label
    gathered = gather_parameters({"config_id": config_id, **given}, Path.cwd(), flags.settings)
    refuse_modal_flags(flags.list_given(), gathered.parameters.get("launcher", "local"))
    parameters = gathered.parameters | {
        "budget": count if count is not None else count_runs(content),
        "name": flags.name or f"single_sweep_{label}",
        "runs_dir": Path(gathered.parameters.get("runs_dir", "runs")).absolute(),
    }
    return run_sweep(parameters, Console(stderr=as_json), as_json, gathered.notes)
