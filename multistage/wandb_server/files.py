"""Files of runs: listed, uploaded, downloaded, deleted."""

import mimetypes
from typing import Any

from multistage.wandb_server.context import Request, Resolvers
from multistage.wandb_server.nodes import (
    RefusedError,
    decode_node,
    encode_node,
    name_node,
    require_named_run,
)
from multistage.wandb_server.pagination import page_by_offset
from multistage.wandb_server.storage import MAX_FILE_NAME
from multistage.wandb_server.store import Row, Store, format_time

MAX_FILES = 10_000


def note_upload(store: Store, run_id: int, name: str, size: int, digest: str) -> None:
    """Note that a run's file was stored.

    Raises:
        RefusedError: The run was deleted meanwhile (404).
    """
    with store.transaction():
        if store.one("SELECT id FROM runs WHERE id = ?", (run_id,)) is None:
            raise RefusedError("No such run.", 404)
        store.execute(
            "INSERT OR REPLACE INTO files (run_id, name, size, md5, updated_at) VALUES (?, ?, ?, ?, ?)",
            (run_id, name, size, digest, store.tick()),
        )


def _create_files(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    run = require_named_run(request.store, given.get("entityName"), given.get("projectName"), given["runName"])
    if len(given["files"]) > MAX_FILES:
        raise RefusedError(f"{len(given['files'])} files at once; the limit is {MAX_FILES}.", 400)
    for name in given["files"]:
        if not name or len(name) > MAX_FILE_NAME or "\0" in name:
            raise RefusedError(f"Invalid file name {name[:60]!r}.", 400)
    storage = request.state.storage
    return {
        "runID": name_node(request.store, "Run", run),
        "uploadHeaders": [],
        "files": [
            {"name": name, "uploadUrl": storage.link(request.base_url, "PUT", run["id"], name)}
            for name in given["files"]
        ],
    }


def _mark_uploaded(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    require_named_run(request.store, given.get("entityName"), given.get("projectName"), given["runName"])
    return {"success": True}


def _delete_files(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    for node_id in arguments["input"]["files"]:
        match decode_node("File", node_id):
            case [number] if number.isdecimal() and len(number) < 19:
                file = request.store.one("SELECT * FROM files WHERE id = ?", (int(number),))
                if file is not None:
                    with request.store.transaction():
                        request.store.execute("DELETE FROM files WHERE id = ?", (file["id"],))
                    request.state.storage.locate(file["run_id"], file["name"]).unlink(missing_ok=True)
            case _:
                raise RefusedError(f"File {node_id[:60]!r} not found.", 404)
    return {"success": True}


def _page_files(
    run: Row,
    request: Request,
    names: list[str] | None = None,
    after: str | None = None,
    first: int | None = None,
    pattern: str | None = None,
) -> dict[str, Any]:
    rows = request.store.all(
        "SELECT * FROM files WHERE run_id = ? AND name LIKE ? ORDER BY name",
        (run["id"], "%" if pattern is None else pattern[:MAX_FILE_NAME]),
    )
    if names:
        wanted = set(names)
        rows = [row for row in rows if row["name"] in wanted]
    request.spend(1 + len(rows) // 10)
    return {**page_by_offset(rows, after, first), "totalCount": len(rows)}


def _link(file: Row | dict[str, Any], request: Request, method: str) -> str | None:
    if isinstance(file, dict):
        # An artifact's file: its link was made with it, and it never changes.
        return file["directUrl"] if method == "GET" else None
    return request.state.storage.link(request.base_url, method, file["run_id"], file["name"])


RESOLVERS: Resolvers = {
    "Mutation": {
        "createRunFiles": _create_files,
        "markRunFilesUploaded": _mark_uploaded,
        "deleteFiles": _delete_files,
    },
    "Run": {
        "fileCount": lambda run, request: request.store.value(
            "SELECT count(*) FROM files WHERE run_id = ?", (run["id"],)
        ),
        "files": _page_files,
    },
    "File": {
        "id": lambda file, _: file["id"] if isinstance(file, dict) else encode_node("File", file["id"]),
        "url": lambda file, request, upload=False: _link(file, request, "PUT" if upload else "GET"),
        "directUrl": lambda file, request: _link(file, request, "GET"),
        "displayName": lambda file, _: file["name"],
        "digest": lambda file, _: file["md5"],
        "storagePath": lambda file, _: file["storagePath"] if isinstance(file, dict) else file["name"],
        "updatedAt": lambda file, _: format_time(file["updatedAt" if isinstance(file, dict) else "updated_at"]),
        "sizeBytes": lambda file, _: file["size"],
        "mimetype": lambda file, _: mimetypes.guess_type(file["name"])[0] or "application/octet-stream",
    },
}
