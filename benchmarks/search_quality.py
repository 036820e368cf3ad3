"""How good a config does a search method find?

    python benchmarks/search_quality.py --data FOLDER --budgets 50,150 --repeats 10 --json results.jsonl

Tables of real trainings, made continuous, are searched by asynchronous workers in simulated time. Each finished cell
(method, table, budget, repeat) is a line of the JSON file, which a second call resumes. The score is the regret of
the *true* value of the config that a method recommends: 0 for the best config of the table, 1 for the median random
one. Tables that no fit explains (R2 below 0.5) are left out, and said so.

With `--currency seconds` a budget is so many whole trainings' worth of time, and methods may train parts of a length:
peers that stop runs early or begin with short ones, and rules of `multistage/RULES` that the product does not have.

`multistage+prior` knows what the algorithm's other tables in the folder teach, its own left out; `multistage+misled`
the reverse of that. In `multistage+overlap` the first runs of a stage begin while the stage before it ends.
"""

import argparse
import heapq
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from search_campaign import LARGEST_SLOW, Answers, Campaign, read_cells
from search_methods import Multistage
from search_peers import PEERS, SLOW, is_own, make_method
from search_pruners import PRUNERS
from search_seconds import simulate_seconds
from search_steppers import has_lengths, make_stepper
from search_summary import Cell, draw_plot, summarize
from search_tables import Table, TableError
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from multistage.domain.runs.results import Evaluation
from multistage.domain.runs.selection import rank
from multistage.domain.space.parameters import FloatParameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.budget import SMALLEST_BUDGET
from multistage.search.base import Proposal
from multistage.search.gaussian_process import GaussianProcessSearch
from multistage.search.registry import check_search
from multistage.search.sobol import sample_sobol

WEAKEST_FIT = 0.5
METHODS = (
    "multistage, multistage/SEARCH with any --search, both with +prior, +misled or +overlap, "
    f"{', '.join(PEERS)}, and peers with +rep; with --currency seconds also {', '.join(PRUNERS)}, and "
    "multistage/RULES with lengths:3-5-10, lengths:auto, stop:2 (percent) or mean:3 (levels), or some joined by +"
)


def simulate(
    name: str, table: Table, budget: int, repeat: int, workers: int, answers: Answers | None = None
) -> tuple[Cell, Answers]:
    """One sweep of a method on a table, with workers whose runs last unevenly long.

    Args:
        name: The method's id.
        table: The task.
        budget: Runs in all.
        repeat: Number of the repeat, which seeds everything.
        workers: Trainings at once.
        answers: What the method without ``+rep`` answered in the same cell, where that is known.

    Returns:
        The finished cell, and the method's answers.
    """
    seed = repeat * 1000 + budget
    # The same noise and durations for every method, as far as they ask the same.
    random = np.random.default_rng([seed, 1])
    method = make_method(name, table.space, budget, seed, answers, table.path, workers)
    given: Answers = []
    done: list[Evaluation] = []
    pending: dict[int, Proposal] = {}
    ends: list[tuple[float, int]] = []
    clock, busy, spent = 0.0, 0.0, []
    index = 0
    while len(done) < budget:
        while index < budget and len(pending) < workers:
            start = time.process_time()
            proposal = method.ask(index, done, pending)
            spent.append(time.process_time() - start)
            given.append(proposal)
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
    cell: Cell = {
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
    return cell, given


def bill(
    name: str, table: Table, budget: int, repeat: int, workers: int, answers: Answers | None = None
) -> tuple[Cell, Answers]:
    """`simulate`, with methods that train by levels, and what was trained in the cell."""
    if has_lengths(name):
        stepper = make_stepper(name, table.space, budget, repeat * 1000 + budget)
        return simulate_seconds(stepper, name, table, budget, repeat, workers), []
    cell, given = simulate(name, table, budget, repeat, workers, answers)
    return {**cell, "runs": budget, "whole": budget, "paid": float(budget)}, given


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


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data", help="folder of tables (.npz)")
    parser.add_argument("--tables", default="", help="names of tables to use, by default all")
    parser.add_argument("--budgets", type=_read_budgets, default="50,150", help="runs in all, with commas between")
    parser.add_argument("--repeats", type=int, default=10, help="0 to print what the file of cells says")
    parser.add_argument("--workers", type=_read_count, default=10)
    parser.add_argument("--methods", default="multistage", help=METHODS)
    parser.add_argument("--currency", choices=("runs", "seconds"), default="runs", help="what a budget counts")
    parser.add_argument("--json", type=Path, default=None, help="file of finished cells; appended to")
    parser.add_argument("--plot", type=Path, default=None, help="picture to draw of the result (.svg or .png)")
    parser.add_argument("--speed", action="store_true", help="print what a suggestion takes, and nothing else")
    options = parser.parse_args(arguments)
    if options.speed:
        with threadpool_limits(1):
            print(time_suggestions())
        return
    methods, budgets = options.methods.split(","), options.budgets
    try:
        whole = [name for name in methods if options.currency == "runs" or not has_lengths(name)]
    except ValueError as error:
        parser.error(str(error))
    unknown = [name for name in whole if not is_own(name) and name.removesuffix("+rep") not in PEERS]
    if unknown:
        parser.error(f"there is no method {unknown[0]!r}; there are {METHODS}")
    for name in filter(is_own, whole):
        if searcher := name.partition("/")[2]:
            check_search(searcher)
    for name in methods:
        if name.removesuffix("+rep") in SLOW and max(budgets) > LARGEST_SLOW:
            print(f"{name} takes over 0.2 s a suggestion: it is run up to {LARGEST_SLOW} runs", file=sys.stderr)
    paths = sorted(options.data.glob("*.npz"))
    if not paths:
        parser.error(f"{options.data} holds no table (.npz)")
    if options.tables:
        wanted, names = options.tables.split(","), [path.stem for path in paths]
        if absent := [name for name in wanted if name not in names]:
            parser.error(f"{options.data} holds no table {absent[0]!r}; it holds {', '.join(names)}")
        paths = [path for path in paths if path.stem in wanted]
    run_cell = bill if options.currency == "seconds" else simulate
    campaign = Campaign(run_cell, options.workers, options.json, read_cells(options.json) if options.json else [])
    os.environ["OMP_NUM_THREADS"] = "1"  # for the peers' libraries, which are loaded later
    with threadpool_limits(1):
        tables = list(_open_tables(paths))
        for repeat in range(options.repeats):
            for budget in budgets:
                for table in tables:
                    campaign.run(methods, table, budget, repeat)
    print(summarize(campaign.cells))
    if options.plot:
        draw_plot(campaign.cells, options.plot)
    if not tables or campaign.failures:
        sys.exit(1)


def _read_budgets(text: str) -> list[int]:
    budgets = [_read_count(part) for part in text.split(",")]
    if min(budgets) < SMALLEST_BUDGET:
        raise argparse.ArgumentTypeError(f"a budget of {min(budgets)} runs is below {SMALLEST_BUDGET}")
    return budgets


def _read_count(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _open_tables(paths: Sequence[Path]) -> Iterator[Table]:
    """Fit the tables, telling of each how well that went; those that cannot be judged by are left out."""
    for path in paths:
        try:
            table = Table(path)
        except (TableError, OSError, ValueError, KeyError) as error:
            print(f"{path.stem}: left out, {error}", file=sys.stderr)
            continue
        verdict = "" if table.fidelity >= WEAKEST_FIT else ": too weak to judge by, left out"
        print(f"{table.name}: {len(table.space)} parameters, R2 {table.fidelity:.2f}{verdict}", file=sys.stderr)
        if not verdict:
            yield table


if __name__ == "__main__":
    main()
