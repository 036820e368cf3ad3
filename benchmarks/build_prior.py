"""Distil tables of public trainings into the field's prior, which the package ships.

    python benchmarks/build_prior.py --data FOLDER

The tables of an algorithm tried the same configs in each environment. What is kept of a config is how it ranked on
average: its runs' mean rank among all runs of a table as a normal score, averaged over the tables. A hyperparameter
that was not the same in all of them, such as a minibatch size that fits the environment, is left out.
"""

import argparse
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata

from multistage.domain.runs.results import Config
from multistage.request.priors.field import FIELD, FIELD_FILE
from multistage.search.lessons import Lesson, PriorSource, make_source

SOURCE = "ARLBench, github.com/automl/arlbench, branch experiments, rs_data_analysis/deepcave_logs_curves"
LICENCE = "BSD, see field.LICENSE beside this file"
ALGORITHMS = ("ppo",)
"""Those that gain where one environment is left out; DQN and SAC have two tables each."""
UNEXPLAINED = {"ppo_atari_phoenix"}
"""Tables that no fit explains (R2 0.03), so that their ranks are chance."""
DIGITS = 4


def learn(paths: Sequence[Path], misleading: bool = False) -> PriorSource:
    """Learn what tables of one algorithm teach.

    Args:
        paths: The tables.
        misleading: Whether to turn the ranks around, to see what a wrong prior costs.
    """
    tables = [np.load(path, allow_pickle=False) for path in paths]
    names = [str(name) for name in tables[0]["hp"]]
    same = [
        index
        for index in range(len(names))
        if all((t["X"][:, index] == tables[0]["X"][:, index]).all() for t in tables)
    ]
    switches = {index for index in same if set(np.unique(tables[0]["X"][:, index])) <= {0.0, 1.0}}
    configs: list[Config] = [
        {names[index]: bool(row[index]) if index in switches else _shorten(row[index]) for index in same}
        for row in tables[0]["X"]
    ]
    standings = np.mean([_rank(table["Y"]) for table in tables], axis=0)
    values = -standings if misleading else standings
    return make_source(FIELD, [names[index] for index in same], configs, values.tolist())


@cache
def learn_from_others(path: Path, misleading: bool = False) -> PriorSource:
    """Learn what the other environments of a table's algorithm teach.

    Raises:
        ValueError: There is no other.
    """
    others = [one for one in list_tables(path.parent, path.stem.partition("_")[0]) if one.stem != path.stem]
    if not others:
        raise ValueError(f"{path.parent} has no other table of {path.stem.partition('_')[0]} than {path.name}")
    return learn(others, misleading)


def list_tables(folder: Path, algorithm: str) -> list[Path]:
    """List the tables of an algorithm that teach anything."""
    return [path for path in sorted(folder.glob(f"{algorithm}_*.npz")) if path.stem not in UNEXPLAINED]


def build(folder: Path) -> str:
    """Write the content of the shipped file."""
    content: dict[str, Any] = {"source": SOURCE, "licence": LICENCE, "algorithms": {}}
    for algorithm in ALGORITHMS:
        paths = list_tables(folder, algorithm)
        learned = learn(paths)
        content["algorithms"][algorithm] = {
            "environments": [path.stem.removeprefix(f"{algorithm}_") for path in paths],
            "names": learned.names,
            "rows": [write_lesson(lesson) for lesson in learned.lessons],
        }
    return json.dumps(content, indent=1) + "\n"


def write_lesson(lesson: Lesson) -> str:
    """Write a config's values and its standing in a line, as a JSON list."""
    return json.dumps([*lesson.config.values(), round(lesson.standing, 3)])


def _rank(returns: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The configs' standings in a table, by the longest training; missing and diverged runs are the worst."""
    values = np.asarray(returns, dtype=np.float64)
    values = (values[:, :, -1] if values.ndim == 3 else values).reshape(len(values), -1)
    values = np.where(np.isfinite(values), values, -np.inf)
    means = rankdata(values).reshape(values.shape).mean(axis=1)
    standings: np.ndarray[Any, Any] = norm.ppf((rankdata(means) - 0.5) / len(means))
    return standings


def _shorten(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of tables (.npz)")
    parser.add_argument("--out", type=Path, default=FIELD_FILE)
    options = parser.parse_args()
    options.out.write_text(build(options.data))
    print(f"{options.out}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
