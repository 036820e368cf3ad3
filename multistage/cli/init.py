"""The command that gets to know a training script, and writes the settings by which it is swept."""

import difflib
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from multistage.cli.paths import TypedPath
from multistage.cli.prose import print_prose
from multistage.cli.services import renew_server
from multistage.errors import MultistageError, UsageError
from multistage.options.refusal import check_seconds
from multistage.settings import Settings

if TYPE_CHECKING:
    from multistage.domain.proposal.draft import Proposal
    from multistage.introduction.settings_target import SettingsTarget

PROMPT = "Enter writes it; type a change (? lists them), or q to quit: "


def init(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    id_: Annotated[str | None, Parameter(name="--id")] = None,
    style: str | None = None,
    python: TypedPath | None = None,
    baseline: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    change: Annotated[tuple[str, ...], Parameter(negative=(), allow_leading_hyphen=True)] = (),
    from_run: str | None = None,
    no_run: Annotated[bool, Parameter(negative=())] = False,
    whole: Annotated[bool, Parameter(negative=())] = False,
    init_timeout: float = 60.0,
    settings: TypedPath | None = None,
    force: Annotated[bool, Parameter(negative=())] = False,
    yes: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Get to know a training script by one run of it, and write multistage.toml, by which it is swept.

    Give the script with its arguments, or the command that starts it behind --, as you start it yourself.

    Args:
        command: A script or module with its arguments, or a whole command. An argument that is called as one of the
            options below stands behind --.
        id_: The config id. [default: the folder's name and the script's]
        style: How the script takes its parameters, as --style of a sweep. [default: found out]
        python: Interpreter of the trainings, or its environment's folder. [default: this one]
        baseline: A usual KEY=VALUE of a script that reads it from wandb.config and has none itself; may be repeated.
        change: A change of what is proposed, in the words that the table's prompt takes; may be repeated.
        from_run: Take a finished run instead: ENTITY/PROJECT/ID of W&B, or local/PROJECT/ID of the embedded server.
        no_run: Run nothing but the script's --help.
        whole: Let the run come to its end.
        init_timeout: Seconds that the run is watched at most.
        settings: The settings file. [default: multistage.toml in this folder]
        force: Change a settings file that is there: the config id's section is written anew, the rest stays.
        yes: Ask nothing.
    """
    from multistage.cli.proposal_table import draw_proposal
    from multistage.domain.proposal.amendment import amend
    from multistage.installation import check_installation
    from multistage.introduction.init_request import InitRequest
    from multistage.introduction.meeting import meet_script
    from multistage.introduction.settings_target import SettingsTarget
    from multistage.request.sources.settings_file import SETTINGS_FILE
    from multistage.request.subject.assignments import parse_assignments

    if whole and no_run:
        raise UsageError("--whole and --no-run exclude each other.", "Leave one of the two out.")
    check_seconds("--init-timeout", init_timeout)
    check_installation()
    target = SettingsTarget(settings or Path(SETTINGS_FILE))
    target.check()
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not no_run and (note := renew_server(Settings())):
        print_prose(console, note)
    request = InitRequest(
        words=command, config_id=id_, style=_check_style(style), python=python, limit=init_timeout, whole=whole,
        baseline=parse_assignments("baseline", baseline), no_run=no_run, from_run=from_run,
    )  # fmt: skip
    with console.status("Starting ...") as status:
        proposal = meet_script(request, Path.cwd(), lambda text: status.update(f"{text} ..."))
    for text in change:
        proposal = amend(proposal, text)
    console.print(draw_proposal(proposal))
    for note in proposal.notes:
        print_prose(console, f"Note: {note}")
    if not yes and sys.stdin.isatty():
        edited = _edit(proposal, target, console)
        if edited is None:
            console.print("Nothing was written.")
            return 0
        proposal = edited
    return _write(proposal, target, console, force=force)


def _check_style(style: str | None) -> str | None:
    from multistage.domain.workers.styles import find_style

    if style is not None:
        find_style(style)
    return style


def _edit(proposal: "Proposal", target: "SettingsTarget", console: Console) -> "Proposal | None":
    """Take changes until the table is agreed to; None where it is given up.

    A change that makes the sweep one that would be refused is not taken.
    """
    from multistage.cli.proposal_table import draw_proposal
    from multistage.domain.proposal.amendment import FORMS, amend

    refusal = _find_refusal(proposal, target)
    while True:
        try:
            text = console.input(PROMPT, markup=False).strip()
        except EOFError:
            return None
        if not text and refusal is None:
            return proposal
        if text in ("q", "quit", "exit"):
            return None
        if text in ("?", "help"):
            console.print(FORMS, markup=False, soft_wrap=True)
            continue
        try:
            changed = amend(proposal, text) if text else proposal
        except MultistageError as error:
            _say_refusal(error, console)
            continue
        before, found = refusal, _find_refusal(changed, target)
        if found is None or before is not None:
            proposal, refusal = changed, found
            console.print(draw_proposal(proposal))
        if found is not None:
            _say_refusal(found, console)


def _find_refusal(proposal: "Proposal", target: "SettingsTarget") -> UsageError | None:
    from multistage.introduction.rehearsal import rehearse_sweep

    try:
        rehearse_sweep(proposal, target, Path.cwd())
    except UsageError as error:
        return error
    return None


def _say_refusal(error: MultistageError, console: Console) -> None:
    console.print(f"{error.message} {error.hint}".rstrip(), style="yellow", markup=False, soft_wrap=True)


def _write(proposal: "Proposal", target: "SettingsTarget", console: Console, *, force: bool) -> int:
    """Write the settings file; leaves one alone that says something else, and shows what would change."""
    from multistage.introduction.rehearsal import rehearse_sweep

    rehearse_sweep(proposal, target, Path.cwd())
    path, before, text = target.path, target.read(), target.merge(proposal)
    if before and text != before and not force:
        lines = difflib.unified_diff(before.splitlines(), text.splitlines(), path.name, path.name, lineterm="")
        console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
        raise UsageError(f"{path} already exists, and was not changed.", "--force makes these changes.")
    target.write(text)
    console.print(f"Written: {path}", highlight=False, soft_wrap=True, markup=False)
    named = "" if path == Path.cwd() / "multistage.toml" else f" --settings {shlex.quote(str(path))}"
    metric = "" if proposal.metric else " --metric KEY"
    command = f"multistage-sweep {shlex.quote(proposal.config_id)}{named}{metric}"
    console.print(f"To sweep: {command}", highlight=False, soft_wrap=True, markup=False)
    return 0
