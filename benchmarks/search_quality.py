"""How good a config does a search method find?

    python benchmarks/search_quality.py --data FOLDER --budgets 50,150 --repeats 10 --json results.jsonl

Tables of real trainings, made continuous, are searched by asynchronous workers in simulated time. Each finished cell
(method, table, budget, repeat) is a line of the JSON file, which a second call resumes. The score is the regret of
the *true* value of the config that a method recommends: 0 for the best config of the table, 1 for the median random
one. Tables that no fit explains (R2 below 0.5) are left out, and said so.
"""

import argparse
import heapq
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from search_peers import PEERS, SLOW, Multistage, make_method
from search_tables import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from multistage.domain.parameters import FloatParameter
from multistage.domain.results import Evaluation
from multistage.domain.selection import rank
from multistage.domain.space import SearchSpace
from multistage.search.gaussian_process import GaussianProcessSearch
from multistage.search.multistage import Proposal
from multistage.search.sobol import sample_sobol

WEAKEST_FIT = 0.5
COLUMNS = (
    "method",
    "mean regret [95%]",
    "median",
    "rank",
    "regret of the best seen",
    "reported over true",
    "s a suggestion",
    "makespan over ideal",
    "regret over multistage's [95%]",
)
Cell = dict[str, Any]


def simulate(name: str, table: Table, budget: int, repeat: int, workers: int) -> Cell:
    """One sweep of a method on a table, with workers whose runs last unevenly long."""
    seed = repeat * 1000 + budget
    # The same noise and durations for every method, as far as they ask the same.
    random = np.random.default_rng([seed, 1])
    method = make_method(name, table.space, budget, seed)
    done: list[Evaluation] = []
    pending: dict[int, Proposal] = {}
    ends: list[tuple[float, int]] = []
    clock, busy, spent = 0.0, 0.0, []
    index = 0
    while len(done) < budget:
        while index < budget and len(pending) < workers:
            start = time.perf_counter()
            proposal = method.ask(index, done, pending)
            spent.append(time.perf_counter() - start)
            if proposal is None:
                break
            duration = float(random.lognormal(0.0, 0.25))
            busy += duration
            pending[index] = proposal
            heapq.heappush(ends, (clock + duration, index))
            index += 1
        if not pending:
            raise RuntimeError(f"{name} proposes nothing with {budget - index} runs left")
        clock, ended = heapq.heappop(ends)
        proposal = pending.pop(ended)
        done.append(
            Evaluation(
                stage=method.find_stage(ended) if isinstance(method, Multistage) else 1,
                index=ended,
                config=proposal.config,
                outcome="finished",
                value=table.draw(proposal.config, random),
                finalist=proposal.finalist,
            )
        )
    config, reported = method.recommend(done)
    return {
        "method": name,
        "table": table.name,
        "budget": budget,
        "repeat": repeat,
        "regret": table.rate(config),
        "regret_seen": table.rate(rank(done, "maximize")[0].config),
        "reported": reported,
        "true": table.measure(config),
        "suggest_s": float(np.median(spent)),
        "makespan": clock / (busy / workers),
    }


def summarize(cells: Iterable[Cell]) -> str:
    """Tables in Markdown: the methods' regrets, then the product's own against each peer."""
    by_budget: dict[int, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_budget[cell["budget"]].append(cell)
    lines: list[str] = []
    for budget, group in sorted(by_budget.items()):
        regrets = _gather(group)
        lines += [
            "",
            f"## {budget} runs",
            "",
            f"| {' | '.join(COLUMNS)} |",
            "|---" * len(COLUMNS) + "|",
        ]
        ranks = _rank(regrets)
        for method in sorted(regrets, key=lambda name: _mean(regrets[name])):
            own = [cell for cell in group if cell["method"] == method]
            low, high = _bootstrap(regrets[method])
            versus = ""
            if method != "multistage" and "multistage" in regrets:
                paired = _pair(regrets[method], regrets["multistage"])
                if paired:
                    start, end = _bootstrap(paired)
                    versus = f"{_mean(paired):+.3f} [{start:+.3f}, {end:+.3f}]"
            over = np.mean([_overstate(cell, group) for cell in own])
            lines.append(
                f"| {method} | {_mean(regrets[method]):.3f} [{low:.3f}, {high:.3f}] "
                f"| {np.median([cell['regret'] for cell in own]):.3f} | {ranks[method]:.2f} "
                f"| {np.mean([cell['regret_seen'] for cell in own]):.3f} | {over:+.3f} "
                f"| {np.median([cell['suggest_s'] for cell in own]):.4f} "
                f"| {np.mean([cell['makespan'] for cell in own]):.2f} | {versus} |"
            )
    return "\n".join(lines).strip()


Regrets = dict[str, dict[int, float]]


def _gather(cells: Sequence[Cell]) -> dict[str, Regrets]:
    """Regrets by method, table and repeat."""
    found: dict[str, Regrets] = defaultdict(lambda: defaultdict(dict))
    for cell in cells:
        found[cell["method"]][cell["table"]][cell["repeat"]] = cell["regret"]
    return found


def _mean(regrets: Regrets) -> float:
    """The mean over tables of the mean over repeats: every table counts the same."""
    return float(np.mean([np.mean(list(repeats.values())) for repeats in regrets.values()]))


def _pair(theirs: Regrets, ours: Regrets) -> Regrets:
    pairs = {
        table: {repeat: value - ours[table][repeat] for repeat, value in repeats.items() if repeat in ours[table]}
        for table, repeats in theirs.items()
        if table in ours
    }
    return {table: repeats for table, repeats in pairs.items() if repeats}


def _bootstrap(regrets: Regrets, draws: int = 2000) -> tuple[float, float]:
    """95% interval of the mean, its repeats drawn again within each table: the tables are what they are."""
    random = np.random.default_rng(0)
    means = np.zeros(draws)
    for repeats in regrets.values():
        values = np.array(list(repeats.values()))
        means += random.choice(values, (draws, len(values))).mean(axis=1)
    low, high = np.quantile(means / len(regrets), [0.025, 0.975])
    return float(low), float(high)


def _rank(regrets: Mapping[str, Regrets]) -> dict[str, float]:
    """Mean rank over tables and the repeats that all methods have; 1 is best."""
    places: dict[str, list[float]] = defaultdict(list)
    for table in {table for tables in regrets.values() for table in tables}:
        methods = [method for method in regrets if table in regrets[method]]
        shared = set.intersection(*(set(regrets[method][table]) for method in methods))
        for repeat in shared:
            values = np.array([regrets[method][table][repeat] for method in methods])
            for method, value in zip(methods, values, strict=True):
                places[method].append(float((values < value).sum() + ((values == value).sum() + 1) / 2))
    return {method: float(np.mean(places[method] or [np.nan])) for method in regrets}


def _overstate(cell: Cell, group: Sequence[Cell]) -> float:
    """Reported minus true value, in units of regret."""
    same = [other for other in group if other["table"] == cell["table"]]
    # True value and regret of any two cells of a table tell what a unit of regret is worth.
    low, high = min(same, key=lambda other: other["true"]), max(same, key=lambda other: other["true"])
    spread = low["regret"] - high["regret"]
    return float((cell["reported"] - cell["true"]) * spread / (high["true"] - low["true"])) if spread else 0.0


def time_suggestions(sizes: Sequence[int] = (50, 500, 1000, 5000)) -> str:
    """Processor seconds, on one core, of the product's suggestions with 10 parameters and 9 pending runs."""
    space = SearchSpace(parameters=tuple(FloatParameter(name=f"p{i}", low=0, high=1) for i in range(10)))
    lines = ["| runs seen | median CPU s | first CPU s, with the fit |", "|---|---|---|"]
    for size in sizes:
        random = np.random.default_rng(size)
        runs = [
            Evaluation(
                stage=1,
                index=index,
                config=config,
                outcome="finished",
                value=float(random.normal() - np.sum((space.to_unit(config) - 0.3) ** 2)),
            )
            for index, config in enumerate(sample_sobol(space, size, 0))
        ]
        search = GaussianProcessSearch(space, "maximize", 0)
        spent = []
        for index in range(12):
            pending = sample_sobol(space, 9, index)
            start = time.process_time()
            search.propose(space, runs, pending, 1)
            spent.append(time.process_time() - start)
        lines.append(f"| {size} | {np.median(spent[1:]):.4f} | {spent[0]:.2f} |")
    return "\n".join(lines)


def draw_plot(cells: Sequence[Cell], path: Path) -> None:
    """Mean regret by budget with its interval, a panel a budget."""
    import matplotlib.pyplot as plt  # type: ignore[import-not-found,unused-ignore]

    budgets = sorted({cell["budget"] for cell in cells})
    figure, axes = plt.subplots(1, len(budgets), figsize=(4.2 * len(budgets), 4), squeeze=False)
    for axis, budget in zip(axes[0], budgets, strict=True):
        regrets = _gather([cell for cell in cells if cell["budget"] == budget])
        methods = sorted(regrets, key=lambda name: -_mean(regrets[name]))
        for place, method in enumerate(methods):
            low, high = _bootstrap(regrets[method])
            colour = "tab:red" if method == "multistage" else "tab:gray"
            axis.plot([low, high], [place, place], color=colour)
            axis.plot([_mean(regrets[method])], [place], "o", color=colour)
        axis.set_yticks(range(len(methods)), methods)
        axis.set_xlabel("mean regret of the true value")
        axis.set_title(f"{budget} runs")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def read_cells(path: Path) -> list[Cell]:
    """The finished cells of an earlier call; a last line that was cut off is passed over."""
    cells = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            cells.append(json.loads(line))
        except json.JSONDecodeError:
            print(f"passed over a damaged line of {path}", file=sys.stderr)
    return cells


def append_cell(path: Path, cell: Cell) -> None:
    """Add a finished cell, on a line of its own even where an earlier call was cut off within one."""
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a") as file:
        file.write(("\n" if torn else "") + json.dumps(cell) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data", help="folder of tables (.npz)")
    parser.add_argument("--tables", default="", help="names of tables to use, by default all")
    parser.add_argument("--budgets", default="50,150")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--methods", default="multistage", help=f"multistage, {', '.join(PEERS)}, or peers with +rep")
    parser.add_argument("--json", type=Path, default=None, help="file of finished cells; appended to")
    parser.add_argument("--plot", type=Path, default=None, help="picture to draw of the result (.svg or .png)")
    parser.add_argument("--speed", action="store_true", help="print what a suggestion takes, and nothing else")
    options = parser.parse_args(arguments)
    if options.speed:
        with threadpool_limits(1):
            print(time_suggestions())
        return
    cells = read_cells(options.json) if options.json else []
    known = {(cell["method"], cell["table"], cell["budget"], cell["repeat"]) for cell in cells}
    paths = sorted(options.data.glob("*.npz"))
    if options.tables:
        paths = [path for path in paths if path.stem in options.tables.split(",")]
    if not paths:
        parser.error(f"{options.data} holds no such table")
    with threadpool_limits(1):
        cells += _run(options, [Table(path) for path in paths], known)
    print(summarize(cells))
    if options.plot:
        draw_plot(cells, options.plot)


def _run(options: argparse.Namespace, tables: list[Table], known: set[tuple[str, str, int, int]]) -> list[Cell]:
    cells: list[Cell] = []
    for table in tables:
        verdict = "" if table.fidelity >= WEAKEST_FIT else ": too weak to judge by, left out"
        print(f"{table.name}: {len(table.space)} parameters, R2 {table.fidelity:.2f}{verdict}", file=sys.stderr)
    tables = [table for table in tables if table.fidelity >= WEAKEST_FIT]
    for repeat in range(options.repeats):
        for budget in map(int, options.budgets.split(",")):
            for table in tables:
                for method in options.methods.split(","):
                    if (method, table.name, budget, repeat) in known:
                        continue
                    if budget > 150 and method.removesuffix("+rep") in SLOW:
                        continue
                    cell = simulate(method, table, budget, repeat, options.workers)
                    cells.append(cell)
                    if options.json:
                        append_cell(options.json, cell)
    return cells


if __name__ == "__main__":
    main()
