"""Where a training leaves what another attempt at its slot goes on with: one folder for all attempts."""

import logging
from collections.abc import MutableMapping
from pathlib import Path

import wandb
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from multistage.domain.runs.slots import parse_slot_name
from multistage.worker.closing import locate_run
from multistage.worker.conventions import CHECKPOINT_VARIABLE, CHECKPOINTS_VARIABLE

logger = logging.getLogger(__name__)


def prepare_checkpoints(api: wandb.Api, run_id: str, environment: MutableMapping[str, str], *, again: bool) -> None:
    """Name a run's folder in the variables of its training; does nothing where the sweep keeps none.

    Args:
        api: W&B's client.
        run_id: The run.
        environment: Changed.
        again: Whether this very run is taken up once more, as after a preemption: its rows then go on, too.
    """
    root = environment.get(CHECKPOINTS_VARIABLE)
    if not root:
        return
    folder = Path(root, environment["WANDB_SWEEP_ID"])
    name = find_name(api, folder, run_id)
    (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / f".{run_id}").write_text(name)
    environment[CHECKPOINT_VARIABLE] = str(folder / name)
    environment.pop("WANDB_RESUME", None)
    if again:
        environment["WANDB_RESUME"] = "allow"


def find_name(api: wandb.Api, folder: Path, run_id: str) -> str:
    """Find the name of a run's folder: its slot's, which the run is called by until its script begins; else its id."""
    try:
        return (folder / f".{run_id}").read_text()
    except FileNotFoundError:
        pass
    try:
        found = parse_slot_name(str(api.run(locate_run(run_id)).name))
    except (wandb.Error, WandbApiFailedError, ValueError) as error:
        logger.warning("The slot of run %s is not known, so it starts from the beginning: %s", run_id, error)
        found = None
    return str(found.model_copy(update={"attempt": 0})) if found else run_id
