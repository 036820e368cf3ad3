"""The sweeps' plans and searches, kept while they are in use."""

import asyncio
import contextlib
from functools import lru_cache
from typing import Any

import anyio.to_thread

from multistage.domain.sweep import sweep_config
from multistage.domain.sweep.sweep_config import SearchPlan, read_plan
from multistage.errors import SpaceError
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.proposals import Proposal, SweepSearch
from multistage.wandb_server.store import Row, Store

MAX_SEARCHES = 32
MANY_LETTERS = 2_000
"""Of a sweep's config: from here on nobody should have to wait while it is read."""


@lru_cache(maxsize=64)
def parse_config(text: str) -> dict[str, Any]:
    """A sweep's config from the YAML that the client sent.

    Raises:
        RefusedError: It is not valid YAML mapping, or too large.
    """
    try:
        return sweep_config.parse_config(text)
    except SpaceError as error:
        raise RefusedError(str(error), 400) from error


@lru_cache(maxsize=64)
def parse_plan(text: str) -> SearchPlan:
    """How the server searches a sweep with this config.

    Raises:
        RefusedError: It cannot be searched; says why, and how to fix it.
    """
    try:
        return read_plan(parse_config(text))
    except SpaceError as error:
        raise RefusedError(str(error), 400) from error


def warm_plans(variables: dict[str, Any]) -> None:
    """Read the plans that a request brings, where that takes a while, so that they are known when it is carried out."""
    nested = variables.get("input")
    for value in (*variables.values(), *(nested.values() if isinstance(nested, dict) else ())):
        if isinstance(value, str) and len(value) > MANY_LETTERS:
            with contextlib.suppress(RefusedError):
                parse_plan(value)


class Searches:
    """The searches of the sweeps that are asked for runs.

    Args:
        store: Where the runs are.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._searches: dict[int, SweepSearch] = {}
        self._locks: dict[int, asyncio.Lock] = {}

    def lock(self, sweep: Row) -> asyncio.Lock:
        """What keeps two agents of a sweep from being given the same config."""
        return self._locks.setdefault(sweep["id"], asyncio.Lock())

    def forget(self, sweep: Row) -> None:
        """Have a sweep's search read its runs anew: one was deleted, so that its config may be tried again."""
        self._searches.pop(sweep["id"], None)

    async def propose(self, sweep: Row) -> Proposal | None:
        """The next config of a sweep, None where there is none left; call it with the sweep's lock.

        A Bayesian search computes in a thread: heartbeats go on.
        """
        search = self._searches.pop(sweep["id"], None)
        if search is None or search.config != sweep["config"]:
            search = SweepSearch(self.store, sweep, parse_plan(sweep["config"]))
        self._searches[sweep["id"]] = search
        while len(self._searches) > MAX_SEARCHES:
            self._searches.pop(next(iter(self._searches)))
        search.refresh()
        if search.plan.method == "bayes":
            return await anyio.to_thread.run_sync(search.propose)
        return search.propose()
