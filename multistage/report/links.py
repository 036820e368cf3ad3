"""Where people look a sweep up: the tracker's pages, Prefect's, the command that trains its best config again."""

import shlex
from pathlib import Path
from urllib.parse import quote

from wandb.sdk.launch.sweeps.utils import create_sweep_command_args
from wandb.util import api_to_app_url

from multistage.domain.runs.results import Config
from multistage.domain.sweep.state import State
from multistage.domain.workers.styles import DEFAULT_COMMAND, fill_macros
from multistage.report.data import ReportData


def link_page(state: State) -> str | None:
    """Return the page on which all of a multi-stage sweep is, without any key; None where there is none."""
    return state.page_url or link_project(state)


def link_sweep(state: State, sweep_id: str) -> str | None:
    """Return the page of a stage's sweep; None where no tracker is known."""
    return _link(state, "sweeps", sweep_id)


def link_run(state: State, run_id: str) -> str | None:
    """Return the page of a run; None where no tracker is known."""
    return _link(state, "runs", run_id)


def link_project(state: State) -> str | None:
    """Return the page of a sweep's project; None where no tracker is known."""
    return _link(state)


def _link(state: State, *parts: str) -> str | None:
    if state.tracker_url is None or not state.tracker_url.startswith(("http://", "https://")):
        return None
    site = api_to_app_url(state.tracker_url).rstrip("/")
    return "/".join([site, *(quote(part, safe="") for part in (state.entity, state.project, *parts))])


def name_sweep(data: ReportData) -> str:
    """Name the sweep as a command takes it where it was started: by its name, else by its folder."""
    return name_folder(data.state, data.folder)


def name_folder(state: State, folder: Path | None) -> str:
    """Name the sweep in a folder as a command takes it where it was started: by its name, else by its folder."""
    if folder is None or folder == state.options.directory / "runs" / state.name:
        return shlex.quote(state.name)
    return shlex.quote(str(folder))


def build_training_command(state: State, config: Config) -> str:
    """Write the command that trains a config as a run of the sweep does, without this tool's worker."""
    settings = state.settings
    values = {**settings.fixed, **config}
    command = settings.command or DEFAULT_COMMAND
    args = create_sweep_command_args({"args": {name: {"value": value} for name, value in values.items()}})
    macros = {f"${{{name}}}": words for name, words in args.items() if isinstance(words, list)} | {
        "${env}": [],
        "${interpreter}": ["python"],
        "${program}": [settings.program or ""],
        "${args_json_file}": ["config.json"],
    }
    written = fill_macros([part for part in command if part != "--wandb_sweep"], values)
    words = shlex.join(word for part in written for word in macros.get(part, [part]))
    return words if any("${args" in part for part in command) else f"{words}  # its values: from wandb.config"
