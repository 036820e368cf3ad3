"""Does a printed interval hold?

    python benchmarks/calibration.py record --data FOLDER --sweeps sweeps.jsonl --budgets 30,50,150 --repeats 67
    python benchmarks/calibration.py tell --sweeps sweeps.jsonl --outcomes calibration.jsonl --label now
    python benchmarks/calibration.py show --outcomes calibration.jsonl --plot calibration.png

``record`` searches tables of real trainings in simulated time, with defaults that are the best of 1 to 100 random
configs, and keeps what the searches saw; ``--quiet`` takes the noise from all runs. ``tell`` races and recommends by
the code as it is, and keeps what it told beside the truth; another label from another checkout is another rule on the
same luck. ``show`` prints, by budget and table, how often the 95% interval of the recommended config holds its true
value, its half width, the interval score (Winkler, 1972; Gneiting and Raftery, 2007), the error of the mean and the
regret, in units of best minus median; then the chance to be better than the defaults in ten bins. The first two resume
their file.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from calibration_summary import Outcome, draw_plot, summarize
from calibration_sweeps import Record, Replay, name_config, record
from scipy.stats import norm
from search_tables import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from multistage.domain.runs.results import Config

FIELDS = ("table", "quiet", "budget", "repeat")
"""What names a sweep."""


def read_lines(path: Path) -> Iterator[Record]:
    """The lines of an earlier call; one that was cut off is passed over."""
    if path.exists():
        with path.open() as file:
            for line in file:
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    print(f"passed over a damaged line of {path}")


def append_line(path: Path, line: Record) -> None:
    """Add a line, on its own even where an earlier call was cut off within one."""
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a") as file:
        file.write(("\n" if torn else "") + json.dumps(line) + "\n")


def record_sweeps(options: argparse.Namespace) -> None:
    """Search every table, repeat by repeat, so that a call that is cut off has as much of each."""
    known = {tuple(line[field] for field in FIELDS) for line in read_lines(options.sweeps)}
    wanted = options.tables.split(",") if options.tables else [path.stem for path in sorted(options.data.glob("*.npz"))]
    tables = [Table(options.data / f"{name}.npz") for name in wanted]
    for repeat in range(options.first, options.repeats):
        for budget in map(int, options.budgets.split(",")):
            for table in tables:
                if (table.name, options.quiet, budget, repeat) not in known:
                    append_line(options.sweeps, record(table, budget, repeat, options.quiet))


def tell_outcomes(options: argparse.Namespace) -> None:
    """Race and recommend by the code as it is."""
    known = {(line["label"], *(line[field] for field in FIELDS)) for line in read_lines(options.outcomes)}
    for line in read_lines(options.sweeps):
        if (options.label, *(line[field] for field in FIELDS)) not in known:
            append_line(options.outcomes, tell(line, options.label))


def tell(recorded: Record, label: str) -> Outcome:
    """What the product says of a recorded sweep, and what is true."""
    found, done = Replay(recorded).believe()

    def measure(config: Config) -> float:
        return float(np.mean(recorded["spreads"][name_config(config)]))

    return {
        "label": label,
        **{field: recorded[field] for field in FIELDS},
        "unit": recorded["best"] - recorded["median"],
        "best": recorded["best"],
        "true": measure(found.config),
        "mean": found.mean,
        "interval": list(found.interval),
        "runs": [run.value for run in done if run.config == found.config],
        "better": found.probability_better_than_defaults,
        "is_default": found.config == recorded["defaults"],
        "is_better": measure(found.config) > measure(recorded["defaults"]),
    }


def show(options: argparse.Namespace) -> None:
    """Print the figures, and draw them."""
    outcomes = list(read_lines(options.outcomes))
    outcomes = [rescale(one, options) if one["label"] == options.rescaled else one for one in outcomes]
    print(summarize(outcomes))
    if options.plot:
        draw_plot(outcomes, options.plot)


def rescale(outcome: Outcome, options: argparse.Namespace) -> Outcome:
    """An outcome as it would be told with other constants, `WIDER` and `DOUBT`, the race being the same."""
    mean, better = outcome["mean"], outcome["better"]
    if better is not None and 0 < better < 1:
        better = float(norm.cdf(norm.ppf(better) - options.doubt))
    interval = [mean + options.widen * (end - mean) for end in outcome["interval"]]
    return {**outcome, "interval": interval, "better": better}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("record", help="search tables")
    one.add_argument("--data", type=Path, required=True, help="folder of tables (.npz)")
    one.add_argument("--tables", default="", help="their names, by default all of the folder")
    one.add_argument("--sweeps", type=Path, required=True, help="file of recorded searches; appended to")
    one.add_argument("--budgets", default="30,50,150", help="runs in all, with commas between")
    one.add_argument("--first", type=int, default=0, help="number of the first repeat")
    one.add_argument("--repeats", type=int, default=10, help="number after the last one")
    one.add_argument("--quiet", action="store_true", help="deterministic runs")
    one.set_defaults(act=record_sweeps)
    two = commands.add_parser("tell", help="race and recommend")
    two.add_argument("--sweeps", type=Path, required=True)
    two.add_argument("--outcomes", type=Path, required=True, help="file of what was told; appended to")
    two.add_argument("--label", default="now", help="name of the code that tells")
    two.set_defaults(act=tell_outcomes)
    three = commands.add_parser("show", help="print the figures")
    three.add_argument("--outcomes", type=Path, required=True)
    three.add_argument("--rescaled", default="", help="label that was told with other constants than are meant")
    three.add_argument("--widen", type=float, default=1.0, help="factor on its intervals")
    three.add_argument("--doubt", type=float, default=0.0, help="deviations off its chance to be better")
    three.add_argument("--plot", type=Path, help="picture to draw (.png or .svg); takes matplotlib")
    three.set_defaults(act=show)
    options = parser.parse_args(arguments)
    with threadpool_limits(1):
        options.act(options)


if __name__ == "__main__":
    main()
