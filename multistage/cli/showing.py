"""The commands that tell what became of a sweep."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from multistage.cli.page_line import print_page
from multistage.cli.paths import TypedPath
from multistage.cli.services import print_services
from multistage.errors import UsageError


def status(
    name: str | None = None,
    /,
    *,
    runs_dir: TypedPath | None = None,
    watch: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Show where a sweep stands, or list all sweeps; on a terminal with the services' pages and how to get in.

    Args:
        name: The sweep's name, its folder or its state.json.
        runs_dir: Where the sweeps' folders lie. [default: runs, or as the settings file has it]
        watch: Keep showing it, with its trainings, until no process drives it.
        as_json: Print its state.json instead.
    """
    from multistage.report.tables import draw_state, draw_sweeps
    from multistage.request.resume_line import write_name, write_resume
    from multistage.settings import Settings
    from multistage.store.sweep_folder import find_folder, survey_sweeps

    console = Console()
    places = locate_runs(runs_dir)
    if watch and (name is None or as_json or not console.is_terminal):
        raise UsageError("--watch takes one sweep's name, and a terminal.", "Without it, the state is shown once.")
    if name is None:
        console.print(draw_sweeps(survey_sweeps(*places), places))
        if sys.stdout.isatty():
            print_services(Settings())
        return 0
    folder = find_folder(name, *places)
    state = folder.load_state()
    if as_json:
        print(state.model_dump_json(indent=2))
    elif watch:
        from multistage.cli.live_view import watch_sweep

        watch_sweep(folder, console)
    else:
        shown = draw_state(state, folder, folder.find_driver(), write_name(folder), write_resume(folder))
        console.print(shown, soft_wrap=True)
        if state.page_url:
            print_page(console, state.uid)
    return 0


def report(name: str, /, *, runs_dir: TypedPath | None = None) -> int:
    """Write a sweep's report.html: one page with all plots, which needs no network.

    Args:
        name: The sweep's name, its folder or its state.json.
        runs_dir: Where the sweeps' folders lie. [default: runs, or as the settings file has it]
    """
    from multistage.driver.open_sessions import close_session, open_session
    from multistage.store.sweep_folder import find_folder

    folder = find_folder(name, *locate_runs(runs_dir))
    try:
        session = open_session(folder.path)
        print(session.write_report(session.collect_report()))
    finally:
        close_session(folder.path)
    return 0


def runs(
    name: str,
    /,
    *,
    format: Literal["table", "csv", "json", "parquet"] = "table",
    output: TypedPath | None = None,
    runs_dir: TypedPath | None = None,
) -> int:
    """List a sweep's runs, one for each slot of its budget.

    Args:
        name: The sweep's name, its folder or its state.json.
        format: table, csv, json, or parquet, which needs --output.
        output: A file to write instead. [default: the standard output]
        runs_dir: Where the sweeps' folders lie. [default: runs, or as the settings file has it]
    """
    from multistage.driver.open_sessions import close_session, open_session
    from multistage.report.export import list_rows, write_rows
    from multistage.store.sweep_folder import find_folder

    if format == "parquet" and output is None:
        raise UsageError(
            "Parquet is binary: it cannot be printed on a terminal.", "Name a file: --output runs.parquet."
        )
    folder = find_folder(name, *locate_runs(runs_dir))
    try:
        rows = list_rows(open_session(folder.path).collect_report())
    finally:
        close_session(folder.path)
    write_rows(rows, format, output, Console())
    return 0


def best(name: str, /, *, format: Literal["json", "yaml", "args"] = "json", runs_dir: TypedPath | None = None) -> int:
    """Print the config that a sweep recommends, and nothing else.

    Args:
        name: The sweep's name, its folder or its state.json.
        format: json, yaml, or args for a command line.
        runs_dir: Where the sweeps' folders lie. [default: runs, or as the settings file has it]
    """
    from multistage.report.best_config import format_best
    from multistage.store.sweep_folder import find_folder

    print(format_best(find_folder(name, *locate_runs(runs_dir)).load_state(), format))
    return 0


def locate_runs(runs_dir: Path | None) -> tuple[Path, ...]:
    """Return where sweeps' folders may lie: where told, or by the settings file, a config id's own place too."""
    from multistage.request.sources.precedence import list_runs_dirs

    return (runs_dir,) if runs_dir else list_runs_dirs(Path.cwd())
