"""What every part of the server works with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from multistage.wandb_server.desk import Desk
from multistage.wandb_server.early_stop import EarlyStop
from multistage.wandb_server.lifecycle import Lifecycle
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.presence import Presence
from multistage.wandb_server.searches import Searches
from multistage.wandb_server.storage import Storage
from multistage.wandb_server.store import Reader, Store
from multistage.wandb_server.worker_scope import Scopes

Resolver = Callable[..., Any]
"""Called with a row, the request, and the field's arguments by name."""

Resolvers = Mapping[str, Mapping[str, Resolver]]
"""For each type of the schema, its fields that are more than a column of their row."""

MAX_ROWS = 50_000
"""Runs, sweeps and agents that one request may touch."""
MAX_FIELDS = 400_000
"""Fields that one answer may hold: a sweep of ten thousand runs with all that clients ask of each."""


@dataclass
class State:
    """The server's long-lived parts."""

    folder: Path
    key: str
    driver_key: str
    """Opens the summaries of multi-stage sweeps to those who drive them; no worker and no training has it."""
    store: Store
    storage: Storage
    lifecycle: Lifecycle
    presence: Presence
    early_stop: EarlyStop
    searches: Searches
    scopes: Scopes = field(default_factory=Scopes)
    desk: Desk = field(default_factory=Desk)


class CostlyError(BaseException):
    """A request whose answer is too large; an ``Exception`` would end one field only and go on with the next."""


@dataclass
class Request:
    """One GraphQL request.

    Args:
        state: The server.
        base_url: How the client reaches this server; links are made from it.
        reader: The database as it is at this moment, for a query; None for a mutation, which writes.
        worker: The sweep whose worker's key was shown; None where it was the server's own.
    """

    state: State
    base_url: str
    reader: Reader | None = None
    worker: str | None = None
    rows: int = 0
    fields: int = 0

    @property
    def store(self) -> Store:
        """The database; the fields of a query only read."""
        return self.state.store if self.reader is None else cast("Store", self.reader)

    def check(self, kind: str, name: str, source: Any, arguments: Mapping[str, Any]) -> None:
        """Refuse a field that the key which was shown does not open.

        Args:
            kind: The type that has it.
            name: The field.
            source: What has it: a row, where it is more than a value.
            arguments: The field's.

        Raises:
            RefusedError: It is a worker's, and the field none of its business.
        """
        if self.worker is not None:
            self.state.scopes.find(self.store, self.worker).check(kind, name, source, self.store, arguments)

    def spend(self, rows: int) -> None:
        """Count what the request touches.

        Raises:
            RefusedError: It is too much for one request.
        """
        self.rows += rows
        if self.rows > MAX_ROWS:
            raise RefusedError(f"The request touches more than {MAX_ROWS} rows; ask for smaller pages.", 400)

    def count_fields(self, count: int) -> None:
        """Count what the answer costs.

        Raises:
            CostlyError: It is too much for one request.
        """
        self.fields += count
        if self.fields > MAX_FIELDS:
            raise CostlyError
