"""What became of a sweep, for programs."""

import json
from datetime import UTC, datetime
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multistage.domain.model import Model
from multistage.domain.sweep.state import Recommended, State
from multistage.errors import UsageError
from multistage.library.command import run_command
from multistage.report.banner import describe_recommendation, format_banner, format_config, format_number
from multistage.report.export import RunRow, flatten_row
from multistage.store.sweep_folder import SweepFolder

if TYPE_CHECKING:
    import pandas

Belief = Recommended
"""A config with its expected value (``mean``), the 95% ``interval`` of that, and the runs behind it (``seeds``)."""


class Best(Model):
    """The run with the best value, partly by luck."""

    config: dict[str, Any]
    value: float
    stage: int
    run_id: str


class Result:
    """A sweep's result.

    Args:
        folder: The sweep's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Where its state, logs and report lie."""

    @cached_property
    def _state(self) -> State:
        return SweepFolder(self.folder).load_state()

    @property
    def name(self) -> str:
        """The sweep's name, which `resume` and `load` take."""
        return self._state.name

    @property
    def status(self) -> str:
        """running, completed, failed or stopped."""
        return self._state.status

    @property
    def recommended(self) -> Belief | None:
        """The config to take, with the evidence for it; None before stage 3 is complete."""
        return self._state.recommended

    @property
    def best(self) -> Best | None:
        """The best single run; None where no run has a value."""
        state = self._state
        if state.best_config is None or state.best_metric is None:
            return None
        return Best(
            config=state.best_config, value=state.best_metric, stage=state.best_stage or 1, run_id=state.best_run or ""
        )

    @cached_property
    def rows(self) -> tuple[RunRow, ...]:
        """All runs, one for each slot of the budget, by stage and index; read from the tracker at the first use."""
        text = run_command(("runs", str(self.folder), "--format", "json"), lambda _: None)
        return tuple(RunRow.model_validate_json(json.dumps(row)) for row in json.loads(text))

    @property
    def runs(self) -> "pandas.DataFrame":
        """All runs as a data frame: a row for each slot of the budget, hyperparameters as ``config.NAME``.

        Raises:
            UsageError: pandas is not installed; `rows` needs nothing.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise UsageError(
                "A data frame needs pandas, which is not installed.",
                "Install multistage-sweep[pandas], or take `rows`, which are plain objects.",
            ) from error
        return pandas.DataFrame([flatten_row(row) for row in self.rows])

    @property
    def report(self) -> Path:
        """The page with all plots."""
        return self.folder / "report.html"

    def draw_history(self) -> str | None:
        """Draw what the runs reached, in their order, as SVG; None where no run has a value."""
        from multistage.report.pictures import draw_history_picture
        from multistage.report.row_data import RowData

        data = RowData(state=self._state, runs=(), rows=self.rows, written_at=datetime.now(UTC))
        return draw_history_picture(data)

    def _repr_html_(self) -> str:
        """Show the result in a notebook: the configs, and what the runs reached, as a picture that needs no network."""
        best, found = self.best, self.recommended
        rows = [
            ("Recommended", found.config, describe_recommendation(self._state)) if found else None,
            ("Best run", best.config, f"{format_number(best.value)}, in stage {best.stage}") if best else None,
        ]
        cells = "".join(
            f"<tr><th>{title}</th><td><code>{escape(format_config(config))}</code></td><td>{escape(told)}</td></tr>"
            for title, config, told in filter(None, rows)
        )
        state = self._state
        told = f"<b>{escape(state.name)}</b>: {state.status}, {state.budget_used} of {state.total_budget} runs"
        return f"<div>{told}<table>{cells}</table>{self.draw_history() or ''}</div>"

    def __repr__(self) -> str:
        state = self._state
        if state.status != "completed":
            return f"<Result of {state.name}: {state.status}, {state.budget_used} of {state.total_budget} runs>"
        return format_banner(state, self.folder / "state.json")
