"""What the report says of runs that failed or were lost, grouped by cause."""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from multistage.domain.runs.slots import RunPhase, RunRecord
from multistage.report.data import ReportData
from multistage.report.links import link_run
from multistage.report.markup import Markup, code, link, render, section, table
from multistage.report.workload import IN_VAIN

MOST_CAUSES = 3
"""Causes that the top of the report names."""


class Failure(NamedTuple):
    """Runs that ended for one reason."""

    reason: str
    """The first line of the first one's error; others may differ from it in their numbers."""
    phase: RunPhase
    runs: list[RunRecord]


def group_failures(data: ReportData) -> list[Failure]:
    """Group what failed or was lost by the first line of its error, numbers apart; the most frequent first."""
    failed = [run for run in data.runs if run.phase in IN_VAIN]
    found = []
    for (_, phase), group in groupby(sorted(failed, key=_name_cause), key=_name_cause):
        runs = list(group)
        found.append(Failure(runs[0].error or "no reason was given", phase, runs))
    return sorted(found, key=lambda one: -len(one.runs))


def _name_cause(run: RunRecord) -> tuple[str, RunPhase]:
    return re.sub(r"\d+([.,e+-]+\d+)*", "#", run.error), run.phase


def explain_failures(failures: Sequence[Failure]) -> list[str]:
    """Say at the top of the report what failed: how many, and the commonest causes."""
    failed = sum(len(failure.runs) for failure in failures if failure.phase == "failed")
    lost = sum(len(failure.runs) for failure in failures if failure.phase == "lost")
    if not failures:
        return ["Nothing"]
    parts = [f"{failed} failed"] if failed else []
    if lost:
        parts.append(f"{lost} lost")
    causes = [f"{len(failure.runs)}: {failure.reason[:140]}" for failure in failures[:MOST_CAUSES]]
    again = "What the machine lost was trained again and does not count." if lost else ""
    return [", ".join(parts), *causes, again]


def show_failures(data: ReportData, failures: Sequence[Failure]) -> Markup:
    """Write the report's section on failures."""
    if not failures:
        return section("failures", "What failed", "", Markup("<p class=none>Nothing failed.</p>"))
    rows = []
    for failure in failures:
        shown = [render(link(run.run_id, link_run(data.state, run.run_id))) for run in failure.runs[:5]]
        more = f" and {len(failure.runs) - 5} more" if len(failure.runs) > 5 else ""
        rows.append([str(len(failure.runs)), failure.phase, code(failure.reason), Markup(", ".join(shown) + more)])
    logs = f" Each training's output: {data.folder / 'logs' / 'runs'}." if data.folder else ""
    lead = (
        "By the first line of the error. A failed run counts against the budget; one that the machine lost was "
        f"trained again.{logs}"
    )
    return section("failures", "What failed", lead, table(["runs", "how", "error", "which"], rows, numbers=(0,)))
