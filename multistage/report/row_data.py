"""What a report shows of runs that are known as rows alone, as a program has them."""

from functools import cached_property
from typing import get_args

from multistage.domain.runs.results import Evaluation, Outcome
from multistage.report.data import ReportData
from multistage.report.export import RunRow


class RowData(ReportData):
    """A report's data whose evaluations come from rows.

    Args:
        rows: All runs, one for each slot of the budget.
    """

    rows: tuple[RunRow, ...]

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """What the used slots have shown, by stage and index."""
        return [
            Evaluation.model_validate(
                {
                    "stage": row.stage,
                    "index": row.slot,
                    "outcome": row.state,
                    **{name: getattr(row, name) for name in ("config", "value", "seed", "run_id", "finalist")},
                }
            )
            for row in self.rows
            if row.state in get_args(Outcome)
        ]
