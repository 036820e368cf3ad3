"""Live summaries of multi-stage sweeps: told whole by those who drive them, read by what changed."""

import json
from typing import Any

from pydantic import ValidationError

from multistage.domain.live.summary import LiveSummary
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.store import Reader, Row, Store, dump_json

MAX_SUMMARY = 50_000_000
"""Bytes of one: tens of thousands of runs."""
MAX_LISTED = 200
SILENT = 45.0
"""Seconds without a word from a driver, which says at least every 10 s that it lives, until it may be gone."""


def parse_summary(uid: str, body: bytes) -> LiveSummary:
    """Read what a driver tells.

    Args:
        uid: The sweep that the address names.
        body: The summary as JSON.

    Raises:
        RefusedError: It is none that this release shows, or another sweep's.
    """
    try:
        summary = LiveSummary.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RefusedError(f"The summary cannot be shown: {place[:100] or 'it'}: {first['msg']}.", 400) from error
    if summary.uid != uid:
        raise RefusedError(f"The summary is of sweep {summary.uid!r}, not of {uid[:64]!r}.", 400)
    return summary


def dump_summary(summary: LiveSummary) -> tuple[str, list[tuple[str, str]]]:
    """Write a summary as it is stored: what it says apart from its runs, and each run by its id."""
    told = summary.model_dump(mode="json")
    runs = told.pop("runs")
    return dump_json(told), [(run["run"], dump_json(run)) for run in runs]


def keep_summary(store: Store, uid: str, name: str, content: str, runs: list[tuple[str, str]]) -> None:
    """Keep what a driver told; only what differs counts as changed."""
    now = store.tick()
    with store.transaction():
        store.execute(
            "INSERT INTO summaries (uid, name, content, revision, heard_at, created_at) "
            "VALUES (?1, ?2, ?3, ?4, ?4, ?4) "
            "ON CONFLICT (uid) DO UPDATE SET name = ?2, heard_at = ?4, content = ?3, "
            "revision = CASE WHEN content = ?3 THEN revision ELSE ?4 END",
            (uid, name, content, now),
        )
        summary_id = store.value("SELECT id FROM summaries WHERE uid = ?", (uid,))
        store.connection.executemany(
            "INSERT INTO summary_runs VALUES (?1, ?2, ?3, ?4) ON CONFLICT (summary_id, run) "
            "DO UPDATE SET content = ?3, revision = ?4 WHERE content != ?3",
            [(summary_id, run, one, now) for run, one in runs],
        )
        store.execute(
            "DELETE FROM summary_runs WHERE summary_id = ? AND run NOT IN (SELECT value FROM json_each(?))",
            (summary_id, json.dumps([run for run, _ in runs])),
        )


def has_summary(store: Reader, uid: str) -> bool:
    """Whether a driver has told of a sweep."""
    return store.one("SELECT 1 FROM summaries WHERE uid = ?", (uid,)) is not None


def find_summary(store: Reader, uid: str) -> Row:
    """Find a sweep's summary.

    Raises:
        RefusedError: No driver has told of such a sweep.
    """
    found = store.one("SELECT * FROM summaries WHERE uid = ?", (uid,))
    if found is None:
        raise RefusedError(f"There is no sweep {uid[:64]!r} here.", 404)
    return found


def list_summary_changes(store: Reader, uid: str, since: int) -> dict[str, Any]:
    """List what changed of a sweep after a revision.

    Args:
        store: Where it is.
        uid: The sweep.
        since: An earlier answer's revision; 0 for all.

    Returns:
        ``revision``; ``heard`` and ``silent``, when its driver was heard last and how long it may say nothing, in ms;
        ``summary``, all but its runs, where that changed; ``runs``, those that changed; ``total``, how many there are
        (fewer than known: some are gone, ask for all).

    Raises:
        RefusedError: There is no such sweep.
    """
    found = find_summary(store, uid)
    rows = store.all(
        "SELECT content, revision FROM summary_runs WHERE summary_id = ? AND revision > ?", (found["id"], since)
    )
    changed = found["revision"] > since
    return {
        "revision": max(found["revision"], since, *(row["revision"] for row in rows), 0),
        "heard": found["heard_at"] // 1000,
        "silent": round(1000 * SILENT),
        "summary": json.loads(found["content"]) if changed else None,
        "runs": [json.loads(row["content"]) for row in rows],
        "total": store.value("SELECT count(*) FROM summary_runs WHERE summary_id = ?", (found["id"],)),
    }


def list_summaries(store: Reader) -> list[dict[str, Any]]:
    """List the multi-stage sweeps that have a page, the one that was heard last first."""
    fields = ("status", "config_id", "metric", "used", "budget", "leader.value")
    picked = ", ".join(f"json_extract(content, '$.{field}') AS '{field.partition('.')[0]}'" for field in fields)
    rows = store.all(
        f"SELECT uid, name, heard_at / 1000 AS heard, {picked} FROM summaries ORDER BY heard_at DESC LIMIT ?",  # noqa: S608
        (MAX_LISTED,),
    )
    return [dict(row) for row in rows]
