"""The local controller, ``wandb.controller()``: a client proposes one run at a time, the server hands it out.

The client writes what it wants into its sweep's ``controller``: ``schedule``, a list of ``{id, data: {args}}`` with at
most one entry (``args`` null when its search is at an end), and ``earlystop``, the names of runs. The server answers
in ``scheduler``: ``scheduled``, a list of ``{id, runid}``, from which the client sees what was taken.
Source: wandb 0.31, ``wandb_controller.py``.
"""

import json
from dataclasses import dataclass
from typing import Any

from multistage.wandb_server.nodes import RefusedError, parse_object
from multistage.wandb_server.searches import parse_config
from multistage.wandb_server.store import Row, Store, dump_json

REMEMBERED = 20
"""Answers that are kept for the client; it asks about its latest one."""


@dataclass(frozen=True)
class Schedule:
    """A run that the controller wants.

    Args:
        entry_id: What the controller calls it.
        config: Its config as agents need it; None where the controller's search is at an end.
    """

    entry_id: str
    config: dict[str, Any] | None


def is_local(sweep: Row) -> bool:
    """Whether a client's controller proposes the sweep's runs."""
    controller = parse_config(sweep["config"]).get("controller")
    return isinstance(controller, dict) and controller.get("type") == "local"


def read_controller(text: str) -> dict[str, Any]:
    """What a client wrote into ``controller``, checked.

    Raises:
        RefusedError: It is not of the controller's form (400).
    """
    controller = parse_object("The controller", text)
    for key in ("schedule", "earlystop"):
        if not isinstance(controller.get(key, []), list):
            raise RefusedError(f"The controller's {key} must be a list.", 400)
    for entry in controller.get("schedule", []):
        match entry:
            case {"id": str(), "data": {"args": dict() | None}}:
                continue
            case _:
                raise RefusedError('A controller schedules {"id": ..., "data": {"args": ...}}.', 400)
    return controller


def find_schedule(sweep: Row) -> Schedule | None:
    """What the controller wants next, None where it has not said."""
    taken = [answer.get("id") for answer in _list_answers(sweep)]
    for entry in read_controller(sweep["controller"] or "{}").get("schedule", []):
        if entry["id"] not in taken:
            return Schedule(entry["id"], entry["data"]["args"])
    return None


def answer_schedule(store: Store, sweep: Row, schedule: Schedule, run_name: str) -> None:
    """Report to the controller that its run was handed out."""
    answers = [*_list_answers(sweep), {"id": schedule.entry_id, "runid": run_name}][-REMEMBERED:]
    store.update("sweeps", sweep["id"], scheduler=dump_json({"scheduled": answers}), updated_at=store.tick())


def _list_answers(sweep: Row) -> list[dict[str, Any]]:
    # A client may have written anything there.
    match json.loads(sweep["scheduler"] or "{}"):
        case {"scheduled": list(answers)}:
            return [answer for answer in answers if isinstance(answer, dict)]
        case _:
            return []
