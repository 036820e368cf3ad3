"""The table in which a proposed sweep is looked at."""

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from multistage.domain.proposal.draft import Proposal
from multistage.domain.proposal.pace import join_names
from multistage.domain.proposal.settings_text import describe_night, write_range


def draw_proposal(proposal: Proposal) -> Group:
    """Draw a proposal: its hyperparameters, and what else it settles."""
    ranges = Table(title=f"Hyperparameters of {escape(proposal.config_id)}", title_justify="left")
    for heading in ("swept", "name", "usually", "range"):
        ranges.add_column(heading, overflow="fold")
    for candidate in proposal.candidates:
        usual = "unknown" if candidate.usual is None else str(candidate.usual)
        known = " (known)" if candidate.is_known else ""
        cells = ("yes" if candidate.swept else "", candidate.name, usual, f"{write_range(candidate.parameter)}{known}")
        ranges.add_row(*map(escape, cells), style="" if candidate.swept else "dim")
    rest = Table(show_header=False)
    rest.add_column()
    rest.add_column(overflow="fold")
    for name, text in _list_rest(proposal):
        rest.add_row(name, escape(text))
    return Group(ranges, rest)


def _list_rest(proposal: Proposal) -> list[tuple[str, str]]:
    style, command = proposal.words
    metric = f"{proposal.metric}, {proposal.goal} ({proposal.metric_reason})" if proposal.metric else "not known"
    if proposal.others:
        metric += f"; also logged: {join_names(proposal.others)}"
    baseline = ", ".join(f"{name}={value}" for name, value in proposal.baseline.items())
    rows = [
        ("metric", metric),
        ("command" if command else "style", command or style or "argparse"),
        ("baseline", f"{baseline}, trained first for comparison" if baseline else "none: a usual value is not known"),
        ("fixed", ", ".join(f"{name}={value}" for name, value in proposal.fixed.items())),
        ("seed", f"{proposal.seed_param}, each run its own" if proposal.seed_param else "none is taken"),
        ("length", f"{proposal.length.name} = {proposal.length.value:g}" if proposal.length else "not known"),
        ("workers", str(proposal.workers)),
        ("GPUs per run", "" if proposal.gpus_per_run is None else f"{proposal.gpus_per_run:g}"),
        ("budget", f"{proposal.budget} {describe_night(proposal)}"),
        ("cost", "none on this machine; `plan --launcher modal` tells Modal's"),
    ]
    return [(name, text) for name, text in rows if text]
