"""The cells of the search benchmark: which are finished, and which are run next."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from search_peers import SLOW
from search_pruners import SLOW_PRUNERS
from search_summary import Cell
from search_tables import Table

from multistage.domain.sweep.budget import count_finalists
from multistage.search.base import Proposal

LARGEST_SLOW = 150
"""Runs up to which slow peers are run."""

FIELDS = (
    "method", "table", "budget", "repeat", "regret", "regret_seen", "reported", "true", "suggest_s", "makespan",
)  # fmt: skip
"""What is told of a finished cell."""
Answers = list[Proposal | None]
"""What a method answered, call by call."""


class RunCell(Protocol):
    """Runs a sweep of a method on a table."""

    def __call__(
        self, name: str, table: Table, budget: int, repeat: int, workers: int, answers: Answers | None = None
    ) -> tuple[Cell, Answers]:
        """Return the finished cell, and what the method answered, call by call."""


def read_cells(path: Path) -> list[Cell]:
    """The finished cells of an earlier call; a last line that was cut off is passed over."""
    cells = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            cell = json.loads(line)
        except json.JSONDecodeError:
            cell = None
        if isinstance(cell, dict) and cell.keys() >= set(FIELDS):
            cells.append(cell)
        else:
            print(f"passed over a damaged line of {path}", file=sys.stderr)
    return cells


def append_cell(path: Path, cell: Cell) -> None:
    """Add a finished cell, on a line of its own even where an earlier call was cut off within one."""
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a") as file:
        file.write(("\n" if torn else "") + json.dumps(cell) + "\n")


class Campaign:
    """The cells that are asked for, one after the other; one that fails is told and does not end the others.

    Args:
        run_cell: Runs one.
        workers: Trainings at once.
        output: Where finished cells are appended; None keeps them in memory only.
        cells: The cells that are finished already.
    """

    def __init__(self, run_cell: RunCell, workers: int, output: Path | None, cells: Sequence[Cell]) -> None:
        self.cells = list(cells)
        self.failures = 0
        self._run_cell, self._workers, self._output = run_cell, workers, output
        self._known = {(cell["method"], cell["table"], cell["budget"], cell["repeat"]) for cell in cells}
        self._absent: set[str] = set()

    def run(self, methods: Sequence[str], table: Table, budget: int, repeat: int) -> None:
        """Run these methods on one table; a replicated one right after its twin searches with its answers."""
        answers: dict[str, Answers] = {}
        for method in methods:
            peer = method.removesuffix("+rep")
            if (method, table.name, budget, repeat) in self._known or peer in self._absent:
                continue
            if budget > LARGEST_SLOW and peer in (*SLOW, *SLOW_PRUNERS):
                continue
            twin = self._find(peer, table, budget, repeat) if method != peer else None
            if twin and not count_finalists(budget):
                self._keep({**twin, "method": method})  # with nothing to replicate they are the same
                continue
            try:
                cell, answers[method] = self._run_cell(method, table, budget, repeat, self._workers, answers.get(peer))
            except ModuleNotFoundError as error:
                self._absent.add(peer)
                self._tell(f"{peer}: left out, there is no {error.name}; `make bench-env` brings it")
            except Exception as error:  # a peer may break in any way, and the others go on
                self._tell(f"{method} on {table.name}, {budget} runs, repeat {repeat}: {type(error).__name__}: {error}")
            else:
                if twin and peer in answers:
                    cell["suggest_s"] = twin["suggest_s"]
                self._keep(cell)

    def _find(self, method: str, table: Table, budget: int, repeat: int) -> Cell | None:
        wanted = {"method": method, "table": table.name, "budget": budget, "repeat": repeat}
        return next((cell for cell in self.cells if wanted.items() <= cell.items()), None)

    def _keep(self, cell: Cell) -> None:
        self.cells.append(cell)
        self._known.add((cell["method"], cell["table"], cell["budget"], cell["repeat"]))
        if self._output:
            append_cell(self._output, cell)

    def _tell(self, text: str) -> None:
        self.failures += 1
        print(text, file=sys.stderr)
