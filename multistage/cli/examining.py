"""The command that looks whether all is well."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from multistage.cli.paths import TypedPath

if TYPE_CHECKING:
    from multistage.installation import Finding

SIGNS = {"good": "[green]ok[/]", "note": "[yellow]note[/]", "bad": "[red]wrong[/]"}


def doctor(
    *, python: TypedPath | None = None, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False
) -> int:
    """Look whether a sweep could run here: packages, settings, environment, W&B, Prefect, Modal; each with its remedy.

    Starts nothing and shows no key. Ends with exit code 1 where a sweep would fail.

    Args:
        python: An interpreter of trainings; those of the settings by default.
        as_json: Print a JSON array instead.
    """
    import json

    if as_json:
        found = _look(python)
        print(json.dumps([finding.model_dump() for finding in found], indent=2))
    else:
        console = Console()
        with console.status("Looking ..."):
            found = _look(python)
        table = Table("", "what", Column("found", overflow="fold"), Column("remedy", overflow="fold"))
        for finding in found:
            table.add_row(SIGNS[finding.verdict], finding.subject, escape(finding.what), escape(finding.remedy))
        console.print(table)
    return 1 if any(finding.verdict == "bad" for finding in found) else 0


def _look(python: Path | None) -> "list[Finding]":
    """Look at the installation, and at the rest if that can be imported."""
    from multistage.installation import Finding, look_at_installation
    from multistage.settings import Settings

    found = [
        Finding(subject="packages", verdict=verdict, what=what, remedy=remedy)
        for verdict, what, remedy in look_at_installation()
    ]
    if any(finding.verdict == "bad" for finding in found):
        return found

    from multistage.doctor import examine

    return [*found, *examine(Path.cwd(), Settings(), python)]
