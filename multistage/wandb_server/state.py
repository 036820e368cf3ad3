"""What every part of the server works with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multistage.wandb_server.early_stop import EarlyStop
from multistage.wandb_server.lifecycle import Lifecycle
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.presence import Presence
from multistage.wandb_server.searches import Searches
from multistage.wandb_server.storage import Storage
from multistage.wandb_server.store import Store

Resolver = Callable[..., Any]
"""Called with a row, the request, and the field's arguments by name."""

Resolvers = Mapping[str, Mapping[str, Resolver]]
"""For each type of the schema, its fields that are more than a column of their row."""

MAX_ROWS = 50_000
"""Runs, sweeps and agents that one request may touch."""


@dataclass
class State:
    """The server's long-lived parts."""

    folder: Path
    key: str
    store: Store
    storage: Storage
    lifecycle: Lifecycle
    presence: Presence
    early_stop: EarlyStop
    searches: Searches


@dataclass
class Request:
    """One GraphQL request.

    Args:
        state: The server.
        base_url: How the client reaches this server; links are made from it.
    """

    state: State
    base_url: str
    rows: int = 0

    @property
    def store(self) -> Store:
        """The database."""
        return self.state.store

    def spend(self, rows: int) -> None:
        """Count what the request touches.

        Raises:
            RefusedError: It is too much for one request.
        """
        self.rows += rows
        if self.rows > MAX_ROWS:
            raise RefusedError(f"The request touches more than {MAX_ROWS} rows; ask for smaller pages.", 400)
