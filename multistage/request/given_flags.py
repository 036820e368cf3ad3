"""From what was given on a command line to a sweep's parameters, whichever command it was."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multistage.domain.sweep.account import Account
from multistage.domain.sweep.sweep_file import name_config_id
from multistage.launchers.registry import list_groups
from multistage.options.catalogue import Groups
from multistage.options.refusal import refuse_idle
from multistage.request.adoption import adopt_sweep
from multistage.request.resumption import resume_parameters
from multistage.request.sources.precedence import GatheredParameters, gather_parameters
from multistage.request.subject.single import count_runs
from multistage.request.subject.sweep_content import read_content, take_content


def gather_flags(
    given: Mapping[str, Any], directory: Path, resume: str | None = None, groups: Groups | None = None
) -> GatheredParameters:
    """Gather the parameters of a sweep in stages.

    Args:
        given: The flags, by the name of the flow's parameter; ``sweep_file`` is a path.
        directory: Where the settings file is looked for.
        resume: The sweep to take up, by its name, folder or state.json.
        groups: The options; by default this package's and those of installed launchers.

    Raises:
        UsageError: A flag means nothing where the sweep's trainings run, or a file makes no sense.
        FolderError: There is no sweep to take up.
    """
    groups = groups or list_groups()
    if resume is not None:
        content = {"sweep_file": read_content(given["sweep_file"])} if given.get("sweep_file") else {}
        gathered = resume_parameters(resume, {**given, **content}, directory)
    else:
        gathered = _fill_in(take_content(given), directory, groups)
    refuse_idle(given, gathered.parameters.get("launcher", "local"), groups)
    return gathered


def gather_single_flags(
    given: Mapping[str, Any], directory: Path, groups: Groups | None = None
) -> tuple[GatheredParameters, Account | None]:
    """Gather the parameters of a W&B sweep that is run as it is: one of a file, or one that is there.

    Args:
        given: As for `gather_flags`; either ``sweep_file`` or ``sweep_id`` is among them.
        directory: Where the settings file is looked for.
        groups: As there.

    Returns:
        They; and the server, where it was asked for the sweep already.

    Raises:
        UsageError: As `gather_flags`, or there is no such sweep, or it has no end of its own.
    """
    groups = groups or list_groups()
    told = {**given, "single": True}
    adoption = adopt_sweep(told, directory)
    if adoption is None:
        label = given["sweep_file"].stem
        told["sweep_file"] = read_content(given["sweep_file"])
    else:
        told = adoption.parameters
        label = told["adopted"].sweep_id
    content, count = told["sweep_file"], told.pop("count", None)
    gathered = _fill_in({"config_id": name_config_id(content) or label, **told}, directory, groups)
    refuse_idle(given, gathered.parameters.get("launcher", "local"), groups)
    own = {
        "budget": count if count is not None else count_runs(content),
        "name": given.get("name") or f"single_sweep_{label}",
    }
    gathered = gathered.model_copy(update={"parameters": {**gathered.parameters, **own}})
    return gathered, adoption.account if adoption else None


def _fill_in(given: Mapping[str, Any], directory: Path, groups: Groups) -> GatheredParameters:
    gathered = gather_parameters(given, directory, given.get("settings"), groups=groups)
    runs_dir = (directory / gathered.parameters.get("runs_dir", "runs")).absolute()
    return gathered.model_copy(update={"parameters": {**gathered.parameters, "runs_dir": runs_dir}})
