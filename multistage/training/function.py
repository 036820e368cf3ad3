"""``python -m multistage.training.function FILE METRIC``: one run of a Python function, under a W&B agent.

The function was pickled by `multistage.library.functions`; it is called with the run's config and may log to the run
by itself. A number that it returns is logged as the metric, a dict as it is.
"""

import numbers
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import wandb


def report(run: wandb.Run, found: Any, metric: str) -> None:
    """Log what a function returned.

    Args:
        run: Its run.
        found: A number, a mapping of what to log, or None where the function has logged by itself.
        metric: What a number is logged as.

    Raises:
        TypeError: It is something else.
    """
    if found is None:
        return
    if isinstance(found, Mapping):
        run.log(dict(found))
    elif isinstance(found, numbers.Real) or hasattr(found, "__float__"):
        run.log({metric: float(found)})
    else:
        raise TypeError(
            f"The function returned {found!r:.200}. A number is logged as {metric}, a dict as it is, None not at all."
        )


def main(file: str, metric: str) -> None:
    """Train once; what the function raises ends the run as failed."""
    function: Callable[[dict[str, Any]], Any] = cloudpickle.loads(Path(file).read_bytes())
    with wandb.init() as run:
        report(run, function(dict(run.config)), metric)


if __name__ == "__main__":
    main(*sys.argv[1:])
