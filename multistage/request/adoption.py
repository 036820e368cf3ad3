"""A W&B sweep that is there already: what its server says of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multistage.domain.model import Model
from multistage.domain.sweep.account import Account
from multistage.domain.sweep.plan import AdoptedSweep
from multistage.errors import UsageError
from multistage.request.sources.precedence import gather_parameters
from multistage.request.subject.sweep_subject import choose_entity, choose_project
from multistage.services.tracker_server import find_server
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.login import open_account
from multistage.wandb_client.run_reader import find_newest
from multistage.wandb_client.sweep_calls import read_sweep


class Adoption(Model):
    """A sweep's parameters with what its server says of it."""

    parameters: dict[str, Any]
    """With the sweep's config, its entity and project, and how it was found."""
    account: Account
    """Where it is."""


def adopt_sweep(parameters: Mapping[str, Any], directory: Path) -> Adoption | None:
    """Look at the sweep that ``sweep_id`` names, which is ``[ENTITY/PROJECT/]ID``; None where none is named.

    Args:
        parameters: Of the flow's run, by name.
        directory: Where the settings file is looked for.

    Raises:
        UsageError: If the id makes no sense or names another place than its options, there is no such sweep, or it is
            paused.
        TrackerError: If the server cannot be reached.
    """
    path = parameters.get("sweep_id")
    if not path:
        return None
    *place, sweep_id = str(path).strip("/").split("/")
    if len(place) not in (0, 1, 2) or not sweep_id:
        raise UsageError(
            f"{path!r} does not name a sweep.", "Give --sweep-id as ENTITY/PROJECT/ID, or as ID with --project."
        )
    for key, own in zip(("project", "entity"), reversed(place), strict=False):
        if parameters.get(key) not in (None, own):
            raise UsageError(
                f"--sweep-id names the {key} {own}, and --{key} {parameters[key]}.", "Leave one of them out."
            )
    known = gather_parameters(parameters, directory, parameters.get("settings")).parameters
    entity = place[-2] if len(place) == 2 else known.get("entity")
    account = open_account(known.get("tracker", "auto"), entity)
    entity = choose_entity(entity, None) or account.entity
    project = choose_project(place[-1] if place else known.get("project"), None, "")
    if not project:
        raise UsageError(f"The project of the sweep {sweep_id} is not known.", "Name it: --sweep-id ENTITY/PROJECT/ID.")
    connection = Connection(*find_server(account.kind), entity, project)
    found = read_sweep(connection, sweep_id)
    if found.state == "PAUSED":
        raise UsageError(f"The sweep {sweep_id} is paused.", f"Run `wandb sweep --resume {path}` first.")
    runs, newest = find_newest(connection, sweep_id)
    adopted = AdoptedSweep(
        sweep_id=sweep_id, state=found.state, runs=runs, newest=newest, run_cap=found.config.get("run_cap")
    )
    said = {"sweep_file": found.config, "adopted": adopted, "entity": entity, "project": project}
    return Adoption(parameters={**parameters, **said}, account=account)
