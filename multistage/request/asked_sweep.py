"""A sweep's parameters, sorted: what is asked for, how it is run, and where it is kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from multistage.domain.model import Model
from multistage.domain.sweep.plan import RunOptions, RunRequest
from multistage.domain.sweep.request import SweepRequest
from multistage.errors import UsageError
from multistage.launchers.registry import find_kind, list_groups
from multistage.options.catalogue import LAUNCHERS
from multistage.options.refusal import check_values, explain_values, spell_key
from multistage.paths import expand_home
from multistage.request.sources.precedence import find_runs_dir
from multistage.request.subject.sweep_subject import trains_bundled
from multistage.store.sweep_folder import SweepFolder, name_sweep


class AskedSweep(Model):
    """A flow run's parameters, sorted: what, how and where."""

    request: SweepRequest
    options: RunOptions
    folder_path: Path
    resume: bool

    @property
    def folder(self) -> SweepFolder:
        """The sweep's folder; it need not exist yet."""
        return SweepFolder(self.folder_path)


def read_parameters(parameters: Mapping[str, Any], directory: Path) -> AskedSweep:
    """Sort the parameters of the parent flow's run.

    Args:
        parameters: By name, as flat as the flow takes them; None stands for a default.
        directory: Where trainings run, and a relative program is looked for.

    Raises:
        UsageError: If one of them is out of its bounds.
    """
    try:
        return _sort_parameters(parameters, directory)
    except ValidationError as error:
        raise explain_values(error, spell_key, "`multistage-sweep settings --schema` says what each takes.") from error


def _sort_parameters(parameters: Mapping[str, Any], directory: Path) -> AskedSweep:
    given = {key: value for key, value in parameters.items() if value is not None}
    _check_foreign(given)
    request = SweepRequest.model_validate({key: given[key] for key in SweepRequest.model_fields if key in given})
    requested = RunRequest.model_validate({key: given[key] for key in RunRequest.model_fields if key in given})
    workers = requested.workers or _count_workers(request, requested)
    return AskedSweep(
        request=request,
        options=RunOptions.model_validate({**dict(requested), "workers": workers, "directory": directory.absolute()}),
        folder_path=locate_folder(parameters),
        resume=bool(given.get("resume", False)),
    )


def _check_foreign(given: Mapping[str, Any]) -> None:
    """Refuse options of another package's launcher that it does not take; one that declares none takes any.

    Args:
        given: Parameters by name.

    Raises:
        UsageError: In a sentence.
    """
    told, launcher = given.get("launcher_options"), given.get("launcher", "local")
    if not told:
        return
    if launcher in LAUNCHERS:
        raise UsageError(
            f"launcher_options has no effect with the launcher {launcher}.",
            "Give it those of its options by their names, as parameters of their own.",
        )
    if find_kind(launcher).options is not None:
        check_values({launcher: told}, spell_key, "Its package says what each takes.", list_groups())


def _count_workers(request: SweepRequest, requested: RunRequest) -> int:
    """Count the workers that the launcher takes where nobody says how many."""
    return find_kind(requested.launcher).count_workers(request, requested, trains_bundled(request))


def locate_folder(parameters: Mapping[str, Any]) -> Path:
    """Find the sweep's folder from the parameters of the parent's or a stage's flow run.

    Raises:
        UsageError: If the sweep's name is none that a folder can have, or the settings make no sense.
    """
    brief = parameters.get("brief")
    if brief is not None:
        return Path(brief["folder"] if isinstance(brief, Mapping) else brief.folder)
    name = parameters.get("name")
    if name is None:
        name = name_sweep(str(parameters["config_id"]))
    elif not name.strip() or name != Path(name).name or name == "..":
        raise UsageError(
            f"{name!r} is not a valid name for a sweep.", "Give --name one folder's name, and --runs-dir its place."
        )
    runs_dir = parameters.get("runs_dir") or find_runs_dir(
        Path.cwd(), parameters.get("settings"), parameters.get("config_id")
    )
    return expand_home(Path(runs_dir)).absolute() / name


def fill_name(parameters: Mapping[str, Any], flow_run_id: str) -> Mapping[str, Any]:
    """Replace ``{flow_run}`` in the sweep's name, so that each run of a deployment has a folder of its own.

    Args:
        parameters: Of the parent flow's run.
        flow_run_id: Its id; a retry keeps it.
    """
    name = parameters.get("name")
    return {**parameters, "name": name.replace("{flow_run}", flow_run_id[:8])} if name else parameters
