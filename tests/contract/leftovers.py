"""What the contract's tests leave behind on a W&B server, and its deletion, as far as W&B's client can."""

import uuid
from collections.abc import Mapping
from contextlib import ExitStack

import pytest
import wandb

SESSION = f"contract-{uuid.uuid4().hex[:8]}-"
"""Begins the names of all projects that this process's tests make."""


def name_project() -> str:
    """A project of one's own, which is emptied at the session's end."""
    return f"{SESSION}{uuid.uuid4().hex[:8]}"


def empty_projects(environment: Mapping[str, str]) -> None:
    """Delete the runs and artifacts of this session's projects. No client can delete a project or a sweep.

    Args:
        environment: Of a client.

    Raises:
        Exception: The client's own, if something cannot be deleted; all else has been by then.
    """
    with pytest.MonkeyPatch.context() as patch, ExitStack() as deletions:
        for name, value in environment.items():
            if name.startswith("WANDB_"):
                patch.setenv(name, value)
        deletions.callback(wandb.teardown)
        api = wandb.Api(timeout=60)
        entity = api.default_entity
        for project in [one for one in api.projects(entity) if one.name.startswith(SESSION)]:
            # The stack goes from its end: links, what they lead to, and the runs with what only they know of.
            for run in list(api.runs(f"{entity}/{project.name}", per_page=100)):
                deletions.callback(run.delete, delete_artifacts=True)
            for collection in sorted(project.collections(), key=lambda one: not one.is_sequence()):
                deletions.callback(collection.delete)
