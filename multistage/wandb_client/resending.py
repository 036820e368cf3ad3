"""``python -m multistage.wandb_client.resending FOLDER``: log a run again, as the standard input tells of it.

A process of its own, since a client knows one server: the environment's.
"""

import json
import sys
from pathlib import Path
from typing import Any

import wandb


def resend(told: dict[str, Any], place: Path) -> str:
    """Log a run again, with its files; returns the address of its page.

    Args:
        told: The run: what ``wandb.init`` takes, and its ``rows``, ``summary`` and ``files``.
        place: Where the files lie.
    """
    given = {key: told[key] for key in ("project", "id", "name", "group", "job_type", "tags", "notes", "config")}
    settings = wandb.Settings(console="off", silent=True, x_disable_stats=True, x_disable_meta=True)
    run = wandb.init(**given, resume="never", settings=settings, dir=str(place))
    for row in told["rows"]:
        run.log({key: value for key, value in row.items() if not key.startswith("_")}, step=row["_step"])
    for name in told["files"]:
        run.save(str(place / name), base_path=str(place), policy="now")
    run.summary.update(told["summary"])
    address = str(run.url)
    run.finish(exit_code=0 if told["has_finished"] else 1)
    return address


if __name__ == "__main__":
    sys.stdout.write(f"{resend(json.load(sys.stdin), Path(sys.argv[1]))}\n")
