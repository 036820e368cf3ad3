"""Where a sweep can be killed: before and after every side effect of every step."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from multistage.settings import Settings
from multistage.store.sweep_folder import SweepFolder

REPOSITORY = Path(__file__).parents[2]
INJECTION = Path(__file__).parent / "injection"

Side = Literal["before", "after"]


class KillPoint(NamedTuple):
    """A side effect: the function that has it, and what its arguments hold where that tells it from its like."""

    module: str
    function: str
    match: str = ""


def persisted(step: str) -> KillPoint:
    """The moment at which Prefect keeps a step's result, from which on a resume skips the step."""
    return KillPoint("prefect.results", "ResultStore._persist_result_record", step)


LOST_ANSWER = KillPoint("multistage.wandb_server.nodes", "encode_node", "'QueueItem'")
"""In the embedded server: a run has been enqueued, and the client is about to be told."""

POINTS = {
    "folder begun": KillPoint("multistage.request.preparation", "prepare_folder"),
    "sweep created": KillPoint("multistage.wandb_client.sweep_calls", "create_sweep"),
    "sweep's id persisted": persisted("stage1-create_sweep"),
    "worker spawned": KillPoint("multistage.launchers.local.launcher", "LocalLauncher._launch"),
    "workers persisted": persisted("stage1-launch_workers"),
    "run enqueued": KillPoint("multistage.driver.sweep_tracker", "SweepTracker.enqueue"),
    "state written": KillPoint("multistage.store.sweep_folder", "SweepFolder.write_state", "used=1"),
    "sweep ended": KillPoint("multistage.wandb_client.sweep_calls", "finish_sweep"),
    "count persisted": persisted("stage1-wait_for_runs"),
    "top configs persisted": persisted("stage1-fetch_top_configs"),
    "ranges persisted": persisted("stage1-narrow_ranges"),
    "stage mirrored": KillPoint("multistage.driver.session", "Session.complete_stage"),
    "record persisted": persisted("stage1-mirror_state"),
    "last run enqueued": KillPoint("multistage.driver.sweep_tracker", "SweepTracker.enqueue", "stage=3"),
    "sweep completed": KillPoint("multistage.driver.session", "Session.complete_sweep"),
    "report written": KillPoint("multistage.driver.session", "Session.write_report"),
}
"""By name, in the order in which a sweep reaches them."""


SELF = "self"
"""The victim that is whichever process reaches the point."""


class Kill(NamedTuple):
    """A victim's end, once, before or after a point."""

    point: KillPoint
    side: Side
    victim: str
    marker: Path
    """Made as the kill is done."""
    patience: float = 0
    """Seconds to wait for a victim that is not there yet."""


def order_kills(kills: Iterable[Kill], settings: Settings, folder: SweepFolder) -> dict[str, str]:
    """Return the environment in which a command, and what it starts, kills the victims as it reaches the points."""
    orders = [
        {
            **kill.point._asdict(),
            "side": kill.side,
            "victim": kill.victim,
            "marker": str(kill.marker),
            "patience": kill.patience,
            "services": str(settings.home),
            "folder": str(folder.path),
        }
        for kill in kills
    ]
    return {"PYTHONPATH": f"{INJECTION}:{REPOSITORY}", "MULTISTAGE_TEST_KILL": json.dumps(orders)}
