"""Runs into which several processes write at once, each as a client of its own (``mode="shared"``).

Each numbers its lines from 0. Here they are numbered in the order in which they came, and it is kept which of a
client's has which number: the same report may come twice, also after the server was away.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from multistage.wandb_server.history import Stream, count_lines
from multistage.wandb_server.store import Row, Store, dump_json

SHARED, CLIENT = "x-wandb-use-async-filestream", "x-wandb-async-client-id"
"""Headers by which a client says that it shares its run, and who it is."""
MAX_NAME = 64


def read_client(headers: Mapping[str, str]) -> str:
    """Read which of a run's clients reports; empty where it has its run for itself."""
    return headers.get(CLIENT, "")[:MAX_NAME] if headers.get(SHARED) == "true" else ""


def number_lines(store: Store, run_id: int, stream: Stream, client: str, offset: int, count: int) -> Sequence[int]:
    """Number a report's lines among those of its run, and keep that.

    Args:
        store: The database, in a transaction.
        run_id: The run's row.
        stream: Whose lines they are.
        client: Who reports; empty for the only one, whose numbers are the run's.
        offset: The number of the first line, as its client counts.
        count: How many lines there are.
    """
    wanted = range(offset, offset + count)
    if not client:
        return wanted
    key = (run_id, client, stream)
    rows = store.all(
        "SELECT place, line FROM shared_lines "
        "WHERE run_id = ? AND client = ? AND stream = ? AND place >= ? AND place < ?",
        (*key, offset, offset + count),
    )
    known = {row["place"]: row["line"] for row in rows}
    fresh = [place for place in wanted if place not in known]
    added = {place: line for line, place in enumerate(fresh, start=count_lines(store, run_id, stream))}
    store.connection.executemany(
        "INSERT INTO shared_lines VALUES (?, ?, ?, ?, ?)", [(*key, place, line) for place, line in added.items()]
    )
    known |= added
    return [known[place] for place in wanted]


def merge_summary(run: Row, client: str, values: dict[str, Any]) -> str:
    """The summary of a run after a report, as it is stored: one client of several knows only its own values."""
    return dump_json({**json.loads(run["summary"]), **values} if client else values)
