"""What the page of a run tells: its facts, its values, its console, its media and files."""

import json
from typing import Any

from multistage.wandb_server.history import Stream, count_lines, parse_console
from multistage.wandb_server.nodes import find_sweep
from multistage.wandb_server.pages.listing import read_config, read_summary
from multistage.wandb_server.pages.sweep_pages import name_sweep, parse_stage
from multistage.wandb_server.storage import Storage
from multistage.wandb_server.store import Reader, Row

MAX_LOG = 500
"""Lines of the console in one answer."""
REWRITTEN = 20
"""Last lines that are sent again: progress bars rewrite theirs."""
MAX_FILES = 500
MAX_ALERTS = 50
MAX_MEDIA = 2_000
"""Logged media in one answer; of more, the latest."""
LISTS = ("videos", "audio")
MEDIA = {"image-file": "image", "video-file": "video", "audio-file": "audio"}


def describe_run(store: Reader, project: Row, run: Row) -> dict[str, Any]:
    """The facts of a run, and its values as they are now."""
    sweep = find_sweep(store, project, run["sweep"])
    stage = parse_stage(name_sweep(sweep)) if sweep else None
    agent = store.one("SELECT name, host FROM agents WHERE id = ?", (run["agent_id"],)) if run["agent_id"] else None
    return {
        "id": run["name"],
        "title": run["display_name"] or run["name"],
        "state": run["state"],
        "stopped": run["stop_requested"],
        "waits": run["agent_id"] is None,
        "exitcode": run["exitcode"],
        "made": run["created_at"] // 1000,
        "begun": run["started_at"] and run["started_at"] // 1000,
        "ended": run["ended_at"] and run["ended_at"] // 1000,
        "heard": run["heartbeat_at"] // 1000,
        "sweep": sweep and {"id": sweep["name"], "title": name_sweep(sweep), "stage": stage and stage._asdict()},
        "facts": {
            "host": run["host"] or (agent["host"] if agent else None),
            "agent": agent and agent["name"],
            "program": run["program"],
            "commit": run["commit_hash"],
            "repository": run["repo"],
            "group": run["run_group"],
            "job type": run["job_type"],
            "tags": ", ".join(map(str, json.loads(run["tags"]))) or None,
            "notes": run["notes"],
            "description": run["description"],
        },
        "config": dict(read_config(run["config"])),
        "summary": dict(read_summary(run["summary"])),
        "artifacts": _list_artifacts(store, run),
        "alerts": _list_alerts(store, run),
    }


def _list_alerts(store: Reader, run: Row) -> list[dict[str, Any]]:
    """What a run told its people, the latest first."""
    rows = store.all("SELECT * FROM alerts WHERE run_id = ? ORDER BY id DESC LIMIT ?", (run["id"], MAX_ALERTS))
    return [{**{key: row[key] for key in ("title", "text", "severity")}, "at": row["created_at"] // 1000}
            for row in rows]  # fmt: skip


def _list_artifacts(store: Reader, run: Row) -> list[dict[str, Any]]:
    rows = store.all(
        "SELECT collection.name, collection.type, artifacts.version_index, artifacts.size, artifacts.file_count "
        "FROM artifacts JOIN artifact_collections AS collection ON collection.id = collection_id "
        "WHERE run_id = ? AND state = 'COMMITTED' ORDER BY artifacts.id DESC LIMIT ?",
        (run["id"], MAX_FILES),
    )
    return [dict(row) for row in rows]


def list_files(store: Reader, storage: Storage, run: Row) -> list[dict[str, Any]]:
    """A run's files, each with a link that downloads it."""
    rows = store.all("SELECT * FROM files WHERE run_id = ? ORDER BY name LIMIT ?", (run["id"], MAX_FILES))
    return [{"name": row["name"], "size": row["size"], "url": storage.link("", "GET", run["id"], row["name"])}
            for row in rows]  # fmt: skip


def read_log(store: Reader, run: Row, after: int | None, before: int | None) -> dict[str, Any]:
    """Lines of a run's console.

    Args:
        store: Where they are.
        run: Whose.
        after: Lines from this number on, and the last ones before it once more; None for the last ones.
        before: Lines that end before this number instead.

    Returns:
        ``end``, one past the last line's number, and ``lines``: number, whether it is an error, text.
    """
    end = count_lines(store, run["id"], Stream.CONSOLE)
    stop = end if before is None else min(before, end)
    start = max(0, stop - MAX_LOG)
    if after is not None and before is None:
        start = max(start, after - REWRITTEN)
    rows = store.all(
        "SELECT line, content FROM lines WHERE run_id = ? AND stream = ? AND line >= ? AND line < ? ORDER BY line",
        (run["id"], Stream.CONSOLE, start, stop),
    )
    lines = []
    for number, content in rows:
        parsed = parse_console(number, content)
        lines.append([number, int(parsed["level"] == "error"), parsed["line"]])
    return {"end": end, "lines": lines}


def read_media(store: Reader, storage: Storage, run: Row, first: int) -> dict[str, Any]:
    """Images, videos and sounds that a run logged from a row on.

    Returns:
        ``next``, the row from which to ask again: of what is announced but not uploaded yet, the first; and
        ``media``, a list of key, step, kind, caption and address.
    """
    end = count_lines(store, run["id"], Stream.HISTORY)
    rows = store.all(
        "SELECT line, step, content FROM lines WHERE run_id = ? AND stream = ? AND line >= ? "
        "AND instr(content, '\"_type\"') ORDER BY line DESC LIMIT ?",
        (run["id"], Stream.HISTORY, first, MAX_MEDIA),
    )
    media: list[list[Any]] = []
    for line, step, content in reversed(rows):
        found = [
            (key, kind, caption, path)
            for key, value in json.loads(content).items()
            if isinstance(value, dict)
            for kind, caption, path in _find_media(value)
        ]
        if not all(_is_uploaded(store, run, path) for *_, path in found):
            end = min(end, line)
        media.extend(
            [key, line if step is None else step, kind, caption, storage.link("", "GET", run["id"], path)]
            for key, kind, caption, path in found
            if _is_uploaded(store, run, path)
        )
    return {"next": end, "media": media}


def _is_uploaded(store: Reader, run: Row, path: str) -> bool:
    return store.value("SELECT 1 FROM files WHERE run_id = ? AND name = ?", (run["id"], path)) is not None


def _find_media(value: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Kind, caption and path of what a logged value shows; wandb writes one, or several side by side."""
    kind, several, path = value.get("_type"), value.get("filenames"), value.get("path")
    if kind == "images/separated" and isinstance(several, list):
        captions = value.get("captions")
        texts = captions if isinstance(captions, list) and len(captions) == len(several) else [""] * len(several)
        return [("image", str(text or ""), str(name)) for name, text in zip(several, texts, strict=True)]
    if kind in LISTS and isinstance(value.get(kind), list):
        return [found for item in value[kind] if isinstance(item, dict) for found in _find_media(item)]
    if kind in MEDIA and isinstance(path, str):
        return [(MEDIA[kind], str(value.get("caption") or ""), path)]
    return []
